# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every model behind the node with the parameter file that config/ has for it, as `params_file:=` gives it."""

import json
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('torch')
sys.path.insert(0, str(Path(__file__).parents[1]))  # for test_model_contract

from affordance_ros.action import PredictAffordance  # noqa: E402
from test_model_contract import LOADED, TASKS  # noqa: E402

from affordance_ros.errors import Code  # noqa: E402
from affordance_ros.models import list_models  # noqa: E402

pytestmark = pytest.mark.ros
CONFIG = Path(__file__).parents[2] / 'config'
MODELS = [entry.name for entry in list_models() if entry.name != 'fake']
QUESTION = 'Find a few spots within the vacant area to the right of the red mug.'


def overrides(name: str) -> dict:
    """Return what is different from the file: a small checkpoint, a processor, and a clip of one image."""
    options = dict(LOADED[name])
    own = {'model.checkpoint': options.pop('checkpoint'), 'model.device': 'cpu', 'model.dtype': 'float32'}
    return own | {'model.options': json.dumps(options), 'input.need_depth': False, 'run.timeout_s': 60.0}


@pytest.mark.parametrize('name', MODELS)
def test_the_parameter_file_of_a_model_serves_it(suite, name: str) -> None:
    suite.start_camera()
    node = suite.start('affordance_node', overrides(name), file=CONFIG / f'{name}.yaml')
    suite.client.wait_active('/affordance_node')
    query = {'object': 'mug', 'action': 'pick up'} if name.startswith('glover') else {'query': QUESTION}
    clip = next(entry for entry in list_models() if entry.name == name).clip
    deadline = time.monotonic() + 30.0
    while True:
        request = query | {'task': TASKS.get(name, ('',))[0], 'timeout_s': 60.0}
        result = suite.client.send(PredictAffordance, '/affordance_node/predict', **request).result(90.0)
        if not clip or result.outcome.code != Code.NO_CLIP or time.monotonic() > deadline:
            break
        time.sleep(0.5)  # a clip of 2.25 s has to come together first
    assert result.outcome.code == Code.OK, result.outcome.message
    (answer,) = result.answer.affordances
    assert answer.text
    assert result.answer.model == name
    assert 'Traceback' not in node.text
