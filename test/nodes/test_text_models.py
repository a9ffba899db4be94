# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models with a text answer behind the node: thoughts as feedback, cancel within a token, masks and contacts."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy')
torch = pytest.importorskip('torch')
sys.path.insert(0, str(Path(__file__).parents[1] / 'models'))  # for the builders of tiny checkpoints

from action_msgs.msg import GoalStatus  # noqa: E402
from affordance_ros.action import PredictAffordance  # noqa: E402
from tiny_qwen_vl import Tiny, write_checkpoint  # noqa: E402
from tiny_sam2 import build_package  # noqa: E402

from affordance_ros import msg, srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402
from affordance_ros.models import load_model  # noqa: E402
from affordance_ros.results import Frame, Query  # noqa: E402
from affordance_ros.scenes import sample_scene  # noqa: E402

pytestmark = pytest.mark.ros
PREDICT, TARGETS = '/affordance_node/predict', '/target_node/get_grasp_targets'
Feedback = PredictAffordance.Feedback
QUESTION = 'Where should I hold the bar?'
SENTENCE = 'grasp the red mug by its handle'
# Random weights write no answer of their own, and the likeliest one of their grammar is the empty list.
WRITING = {'decode': 'constrained', 'temperature': 1.0, 'max_new_tokens': 320, 'seed': 5}
SLOW_LAYERS = 110  # some 40 ms a token


def affordance_r1(folder: Path, tiny: Tiny, options: dict) -> dict:
    """Return the parameters of a node with a checkpoint that is written here."""
    write_checkpoint(folder, tiny)
    return {
        'model.name': 'affordance_r1', 'model.checkpoint': str(folder), 'model.options': json.dumps(options),
        'model.threads': 1, 'model.warmup': False, 'run.timeout_s': 120.0,
    }  # fmt: skip


def texts(goal) -> list[str]:
    """Return what each feedback said that the model has written so far."""
    return [item.text for item in list(goal.feedback) if item.stage == Feedback.GENERATE]


def test_thoughts_stream_as_feedback_and_the_answer_has_masks(suite, tmp_path) -> None:
    sam2 = build_package(tmp_path / 'sam2')
    parameters = affordance_r1(tmp_path / 'r1', Tiny(sub_folder=True, layers=12), WRITING)
    suite.start_camera()
    suite.start('affordance_node', parameters | {'model.refine': 'sam2', 'model.sam2': str(sam2)})
    suite.client.wait_active('/affordance_node')
    evidence = suite.client.listen(msg.Evidence, '/affordance_node/evidence')
    goal = suite.client.send(PredictAffordance, PREDICT, query=QUESTION, timeout_s=100.0)
    result = goal.result(120.0)
    assert result.outcome.code == Code.OK, result.outcome.message
    (answer,) = result.answer.affordances

    suite.client.wait_for(
        lambda: [item.stage for item in goal.feedback][-1:] == [Feedback.REFINE], what='the last stage'
    )
    told = texts(goal)
    assert len(told) > 8
    assert all(later.startswith(earlier.rstrip('\ufffd')) for earlier, later in zip(told, told[1:], strict=False))
    assert answer.text.startswith(told[-1].rstrip('\ufffd'))
    assert '</think>' not in told[0]  # a user reads the thoughts before there is an answer
    assert any('</think>' in text and '<answer>' not in text for text in told)
    stages = [item.stage for item in goal.feedback]
    assert stages == sorted(stages)

    torch.set_num_threads(1)  # as the node: sums in another order could draw another token
    frame = Frame(suite.camera.pixels)  # what the camera of the test shows
    model = load_model('affordance_r1', tmp_path / 'r1', sam2=str(sam2), **WRITING)
    want = model.predict(frame, Query(QUESTION))
    assert (answer.text, answer.reasoning) == (want.text, want.reasoning)
    assert len(answer.reasoning) > 10
    assert len(answer.boxes) == len(answer.keypoints) == len(answer.masks) == len(want.boxes) > 0
    np.testing.assert_allclose([(point.u, point.v) for point in answer.keypoints], want.keypoints.points)
    assert [box.label for box in answer.boxes] == [mask.label for mask in answer.masks] == list(want.boxes.labels)
    suite.client.wait_for(lambda: evidence, what='the evidence')
    assert evidence[-1].answer.affordances[0].reasoning == answer.reasoning


def test_a_cancel_ends_the_thoughts_within_one_token(suite, tmp_path) -> None:
    parameters = affordance_r1(tmp_path, Tiny(sub_folder=True, layers=SLOW_LAYERS), {'max_new_tokens': 1000})
    suite.start_camera()
    node = suite.start('affordance_node', parameters)
    suite.client.wait_active('/affordance_node')
    (worker,) = node.children()
    goal = suite.client.send(PredictAffordance, PREDICT, query=QUESTION, timeout_s=100.0)
    suite.client.wait_for(lambda: len(texts(goal)) >= 3, 60.0, 'three tokens')
    goal.cancel()
    before = len(texts(goal))
    result = goal.result()
    assert goal.status == GoalStatus.STATUS_CANCELED
    assert result.outcome.code == Code.CANCELED, result.outcome.message
    assert len(texts(goal)) - before <= 2  # the token that was being written, and one on its way here
    assert node.children() == [worker]  # it stopped by itself: one that does not is ended

    again = suite.client.send(PredictAffordance, PREDICT, query=QUESTION, timeout_s=100.0)
    suite.client.wait_for(lambda: texts(again), 60.0, 'the next request')
    again.cancel()
    assert again.result().outcome.code == Code.CANCELED


@pytest.fixture(scope='module')
def refined(module_suite, tmp_path_factory):
    """A simulated table, the pocket RoboPoint, SAM 2 of random weights behind it, and targets."""
    sam2 = build_package(tmp_path_factory.mktemp('sam2'))
    suite = module_suite
    suite.start('scene_node', {'scene.seed': 5, 'scene.must_have': 'red mug', 'scene.noise': False})
    suite.start(
        'affordance_node',
        {'model.name': 'robopoint', 'model.checkpoint': 'pocket', 'model.refine': 'sam2', 'model.sam2': str(sam2)},
    )
    suite.start('target_node', {'run.timeout_s': 60.0})
    suite.client.wait_active('/scene_node', '/affordance_node', '/target_node')
    return suite.client


def test_points_of_robopoint_get_masks_and_contacts_in_one_request(refined) -> None:
    arrays = refined.listen(msg.AffordanceArray, '/affordance_node/affordances')

    def ask():
        return refined.call(srv.GetGraspTargets, TARGETS, 60.0, query=SENTENCE, timeout_s=30.0).targets

    refined.wait_for(lambda: ask().outcome.code != Code.NOT_ACTIVE, what='the nodes finding each other')
    targets = ask()
    assert targets.outcome.code == Code.OK, targets.outcome.message
    refined.wait_for(lambda: arrays and arrays[-1].request_id == targets.request_id, what='the answer')
    (answer,) = arrays[-1].affordances
    view = sample_scene(5, must_have=('red', 'mug')).render()
    assert len(answer.masks) == len(answer.keypoints) > 0
    for mask in answer.masks:
        assert (mask.width, mask.height) == (view.frame.width, view.frame.height)
        assert sum(mask.runs) == mask.width * mask.height
        assert np.isfinite(mask.score)
    depth = np.asarray(view.frame.depth)
    points = {(point.u, point.v) for point in answer.keypoints}
    for contact in (target.contact for target in targets.targets):
        assert (contact.u, contact.v) in points
        seen = depth[round(contact.v), round(contact.u)]
        assert abs(contact.point.z - seen) < 0.02
        assert contact.normal.x**2 + contact.normal.y**2 + contact.normal.z**2 == pytest.approx(1.0)
    assert 'refine' in {stage.stage for stage in arrays[-1].stages}
