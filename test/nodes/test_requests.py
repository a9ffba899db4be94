# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A sentence in, targets or a code out: the whole graph in separate processes with the fake model."""

import numpy as np
import pytest

pytest.importorskip('rclpy')

from affordance_ros.action import PlanGrasps, PredictAffordance  # noqa: E402
from geometry_msgs.msg import PoseArray  # noqa: E402
from synthetic_camera import BAR_M, ON_BAR, point_of  # noqa: E402

from affordance_ros import msg, srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402
from affordance_ros.nodes import conversions as convert  # noqa: E402

pytestmark = pytest.mark.ros
ASK = f'point at {ON_BAR[0]:.0f},{ON_BAR[1]:.0f}'


def ask(suite, query, **fields):
    return suite.client.call(
        srv.GetGraspTargets, '/target_node/get_grasp_targets', query=query, timeout_s=10.0, **fields
    ).targets


def test_the_contact_lies_on_the_asked_spot(fake_suite) -> None:
    targets = ask(fake_suite, ASK)
    assert targets.outcome.code == Code.OK, targets.outcome.message
    best = targets.targets[0]
    point = np.array([best.contact.point.x, best.contact.point.y, best.contact.point.z])
    assert np.linalg.norm(point - point_of(ON_BAR)) < 0.002
    assert best.contact.normal.z == pytest.approx(-1.0, abs=0.02)
    assert best.width_m == pytest.approx(BAR_M, abs=0.003)
    assert abs(best.closing.x) > 0.9  # across the bar, the approach may lean by 25 degrees
    assert targets.header.frame_id == 'camera_optical_frame'
    assert 0 <= targets.image_age.sec + targets.image_age.nanosec * 1e-9 < 3
    assert {'lift', 'grasp'} <= {stage.stage for stage in targets.stages}


def test_topics_carry_the_same_answer(fake_suite) -> None:
    client = fake_suite.client
    arrays = client.listen(msg.GraspTargetArray, '/target_node/grasp_targets')
    poses = client.listen(PoseArray, '/target_node/grasp_poses')
    answers = client.listen(msg.AffordanceArray, '/affordance_node/affordances')
    evidence = client.listen(msg.Evidence, '/affordance_node/evidence')
    client.wait_for(lambda: ask(fake_suite, ASK) and arrays and poses and answers and evidence, what='all topics')
    targets = ask(fake_suite, ASK)
    latest = (lambda: arrays[-1].request_id, lambda: answers[-1].request_id, lambda: evidence[-1].answer.request_id)
    client.wait_for(lambda: all(name() == targets.request_id for name in latest), what='the answer on every topic')
    client.wait_for(lambda: poses[-1].header == targets.header, what='the poses of the answer')
    assert repr(arrays[-1]) == repr(targets)  # NaN is not equal to itself, and serialised padding holds anything
    assert answers[-1].header == targets.header
    assert poses[-1].poses[0] == targets.targets[0].grasp
    last = evidence[-1]
    assert last.depth.encoding == '32FC1'
    assert last.depth.header.stamp == last.camera_info.header.stamp == targets.header.stamp
    assert last.answer.affordances[0].keypoints[0].u == ON_BAR[0]


def test_action_tells_stages_and_text(fake_suite) -> None:
    goal = fake_suite.client.send(PredictAffordance, '/affordance_node/predict', query=ASK, request_id='mine')
    result = goal.result()
    assert result.outcome.code == Code.OK
    assert result.answer.request_id == 'mine'
    fake_suite.client.wait_for(lambda: any(item.text for item in goal.feedback), what='the text')
    stages = [item.stage for item in goal.feedback]
    assert stages == sorted(stages)
    assert PredictAffordance.Feedback.GENERATE in stages


def test_a_request_that_waited_is_about_the_image_of_its_turn(fake_suite) -> None:
    client = fake_suite.client
    first, second = (client.send(PredictAffordance, '/affordance_node/predict', query=ASK) for _ in range(2))
    answers = [goal.result().answer for goal in (first, second)]
    shown, accepted, finished = (
        [convert.nanoseconds_of(stamp) * 1e-9 for stamp in stamps]
        for stamps in zip(*((a.header.stamp, a.accepted_at, a.finished_at) for a in answers), strict=True)
    )
    assert accepted[1] >= finished[0]
    assert shown[1] > finished[0] - 2.0  # not of the time when it was asked, and no queue of old images before it
    assert all(0 <= taken - seen < 2.0 for taken, seen in zip(accepted, shown, strict=True))  # input.max_age_s
    assert shown[1] > shown[0]


def test_plan_grasps_uses_the_gripper_of_the_request(fake_suite) -> None:
    goal = fake_suite.client.send(PlanGrasps, '/target_node/plan_grasps', query=ASK, gripper='panda', max_results=1)
    result = goal.result()
    assert result.targets.outcome.code == Code.OK, result.targets.outcome.message
    assert [target.gripper for target in result.targets.targets] == ['panda']
    generating = PlanGrasps.Feedback.GENERATE
    fake_suite.client.wait_for(lambda: generating in [item.stage for item in goal.feedback], what='feedback')


@pytest.mark.parametrize(
    ('query', 'code'),
    [
        ('', Code.BAD_INPUT),
        ('nothing', Code.EMPTY_MODEL_OUTPUT),
        ('point at 9000,9000', Code.EMPTY_MODEL_OUTPUT),
        ('point at 60,60', Code.TOO_THIN),
    ],
)
def test_refusals_have_a_code_and_a_sentence(fake_suite, query: str, code: Code) -> None:
    targets = ask(fake_suite, query)
    assert (targets.outcome.code, targets.targets) == (code, [])
    assert len(targets.outcome.message) > 10


def test_an_unknown_gripper_is_refused(fake_suite) -> None:
    goal = fake_suite.client.send(PlanGrasps, '/target_node/plan_grasps', query=ASK, gripper='tentacle')
    result = goal.result()
    assert result.targets.outcome.code == Code.BAD_INPUT
    assert 'tentacle' in result.targets.outcome.message


def test_several_points_give_several_targets_best_first(fake_suite) -> None:
    targets = ask(fake_suite, 'point at 320,240 and at 320,200 and at 60,60')
    assert targets.outcome.code == Code.OK
    assert len(targets.targets) == 2
    scores = [target.score for target in targets.targets]
    assert scores == sorted(scores, reverse=True)
    assert [item.outcome.code for item in targets.abstentions] == [Code.TOO_THIN]  # a flat table: nothing stands out
    assert ask(fake_suite, 'point at 320,240 and at 320,200', max_results=1).targets[0].score == scores[0]


def test_continuous_mode_answers_every_new_image(fake_suite) -> None:
    client = fake_suite.client
    arrays = client.listen(msg.GraspTargetArray, '/target_node/grasp_targets')
    assert client.call(srv.SetPrompt, '/affordance_node/set_prompt', query=ASK).outcome.code == Code.OK
    client.wait_for(lambda: len([item for item in arrays if not item.request_id]) >= 2, what='two continuous answers')
    assert ask(fake_suite, 'point at 320,200').outcome.code == Code.OK  # requests come between
    client.call(srv.SetPrompt, '/affordance_node/set_prompt', query='')
    stamps = [(item.header.stamp.sec, item.header.stamp.nanosec) for item in arrays if not item.request_id]
    assert len(set(stamps)) == len(stamps)


def test_unknown_model_is_refused_and_the_one_before_goes_on(fake_suite) -> None:
    response = fake_suite.client.call(srv.LoadModel, '/affordance_node/load_model', name='fakr')
    assert response.outcome.code == Code.UNKNOWN_MODEL
    assert "'fake'" in response.outcome.message
    assert response.model.name == 'fake'
    assert ask(fake_suite, ASK).outcome.code == Code.OK


def test_a_request_cannot_open_any_folder(fake_suite, tmp_path) -> None:
    response = fake_suite.client.call(
        srv.LoadModel, '/affordance_node/load_model', name='robopoint', checkpoint=str(tmp_path)
    )
    assert response.outcome.code == Code.BAD_INPUT
    assert 'model.folders' in response.outcome.message


def test_models_are_listed_and_swapped(fake_suite) -> None:
    client = fake_suite.client
    models = {info.name: info for info in client.call(srv.ListModels, '/affordance_node/list_models').models}
    assert {'fake', 'robopoint'} <= set(models)
    assert [name for name, info in models.items() if info.loaded] == ['fake']
    assert models['robopoint'].outputs
    assert models['robopoint'].obtain
    response = client.call(srv.LoadModel, '/affordance_node/load_model', name='fake')
    assert (response.outcome.code, response.model.loaded) == (Code.OK, True)
    assert ask(fake_suite, ASK).outcome.code == Code.OK


def test_live_parameters_change_and_nonsense_is_refused(fake_suite) -> None:
    client = fake_suite.client
    refused = client.set_parameters('/target_node', gripper='tentacle')[0]
    assert not refused.successful
    assert 'panda' in refused.reason
    assert client.set_parameters('/target_node', gripper='robotiq_2f_140')[0].successful
    assert ask(fake_suite, ASK).targets[0].gripper == 'robotiq_2f_140'
    assert client.set_parameters('/target_node', gripper='generic')[0].successful
    assert not client.set_parameters('/affordance_node', model__name='robopoint')[0].successful
    assert not client.set_parameters('/affordance_node', run__timeout_s=-1.0)[0].successful


def test_diagnostics_show_both_nodes(fake_suite) -> None:
    from diagnostic_msgs.msg import DiagnosticArray

    client = fake_suite.client
    received = client.listen(DiagnosticArray, '/diagnostics')
    names = {'/affordance_node', '/target_node'}
    client.wait_for(lambda: names <= {status.name for item in received for status in item.status}, what='diagnostics')
    status = [s for item in received for s in item.status if s.name == '/affordance_node'][-1]
    values = {entry.key: entry.value for entry in status.values}
    assert values['model'] == 'fake'
    assert int(values['bundles']) > 0
    assert float(values['image age s']) < 2
