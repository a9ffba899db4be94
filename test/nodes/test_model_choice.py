# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the worker is told to load: parameters of the node against what a request names."""

from dataclasses import replace

import pytest

pytest.importorskip('rclpy')

from affordance_ros.nodes.model_choice import ModelChoice, worker_spec  # noqa: E402
from affordance_ros.nodes.parameters import AffordanceParameters  # noqa: E402

pytestmark = pytest.mark.ros
REFINED = replace(AffordanceParameters(), model_refine='sam2', model_sam2='/data/sam2.pt', model_sam='/data/sam.pth')


def test_no_refinement_unless_asked_for():
    options = worker_spec(ModelChoice(), AffordanceParameters()).options
    assert not {'refine', 'sam2', 'sam'} & set(options)


def test_the_named_segmenter_and_its_path_reach_the_model():
    assert worker_spec(ModelChoice(), REFINED).options | {'threads': 0} == {
        'refine': 'sam2', 'sam2': '/data/sam2.pt', 'threads': 0,
    }  # fmt: skip
    sam = worker_spec(ModelChoice(), replace(REFINED, model_refine='sam')).options
    assert (sam['refine'], sam['sam']) == ('sam', '/data/sam.pth')
    assert 'sam2' not in sam


def test_another_model_is_refined_too_where_it_names_places():
    assert worker_spec(ModelChoice(name='fake'), REFINED).options['refine'] == 'sam2'
    assert 'refine' not in worker_spec(ModelChoice(name='handsonvlm'), REFINED).options


def test_options_as_json_win():
    given = replace(REFINED, model_options='{"sam2": "/other.pt"}')
    assert worker_spec(ModelChoice(), given).options['sam2'] == '/other.pt'
