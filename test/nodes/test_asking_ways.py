# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Service, action and topic give the same answer; a request may name several questions, a region and a threshold."""

import numpy as np
import pytest

pytest.importorskip('rclpy')

from affordance_ros.action import PlanGrasps, PredictAffordance  # noqa: E402
from sensor_msgs.msg import RegionOfInterest  # noqa: E402
from std_msgs.msg import String  # noqa: E402
from synthetic_camera import ON_BAR, point_of  # noqa: E402

from affordance_ros import msg, srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402

pytestmark = pytest.mark.ros
QUERY, PREDICT, GET = '/affordance_node/query', '/affordance_node/predict', '/target_node/get_grasp_targets'
ASK = f'point at {ON_BAR[0]:.0f},{ON_BAR[1]:.0f}'


def query(suite, **fields):
    return suite.client.call(srv.QueryAffordance, QUERY, timeout_s=10.0, **fields)


def without_times(affordance) -> tuple:
    return affordance.query, affordance.text, [(k.u, k.v) for k in affordance.keypoints], affordance.outcome.code


def test_service_action_and_topic_give_the_same_answer(fake_suite) -> None:
    client = fake_suite.client
    answers = client.listen(msg.AffordanceArray, '/affordance_node/affordances')
    served = query(fake_suite, query=ASK)
    assert served.outcome.code == Code.OK, served.outcome.message
    acted = client.send(PredictAffordance, PREDICT, query=ASK).result().answer
    prompt = client.node.create_publisher(String, '/prompt', 10)
    client.wait_for(lambda: prompt.get_subscription_count(), what='the subscription of prompt')

    def prompted() -> bool:
        prompt.publish(String(data=ASK))
        return any(not answer.request_id for answer in answers)

    client.wait_for(prompted, what='an answer to the topic')
    prompt.publish(String(data=''))
    continuous = next(answer for answer in answers if not answer.request_id)
    same = {repr([without_times(item) for item in array.affordances]) for array in (served.answer, acted, continuous)}
    assert len(same) == 1
    assert type(served.answer) is type(acted) is type(continuous)
    assert {'wait', 'decode', 'model'} <= {stage.stage for stage in served.answer.stages}
    client.node.destroy_publisher(prompt)


def placed(array: msg.GraspTargetArray) -> tuple:
    """Return what an array says, without names and times; the noise-free camera shows the same image every time."""
    poses = [(t.grasp.position.x, t.grasp.position.z, t.grasp.orientation.w, t.width_m, t.score) for t in array.targets]
    return np.round(poses, 6).tolist(), array.header.frame_id, array.query, array.outcome.code


def test_targets_are_the_same_whichever_way_they_were_asked_for(fake_suite) -> None:
    client = fake_suite.client
    arrays = client.listen(msg.GraspTargetArray, '/target_node/grasp_targets')
    served = client.call(srv.GetGraspTargets, GET, query=ASK, timeout_s=10.0).targets
    assert served.outcome.code == Code.OK, served.outcome.message
    goal = client.send(PlanGrasps, '/target_node/plan_grasps', query=ASK, timeout_s=10.0)
    acted = goal.result().targets
    lifting = PlanGrasps.Feedback.LIFT
    client.wait_for(lambda: any(item.stage == lifting for item in goal.feedback), what='the word that it is lifted')
    assert client.call(srv.SetPrompt, '/affordance_node/set_prompt', query=ASK).outcome.code == Code.OK
    client.wait_for(lambda: any(not array.request_id for array in arrays), what='an answer to the prompt')
    client.call(srv.SetPrompt, '/affordance_node/set_prompt', query='')
    prompted = next(array for array in arrays if not array.request_id)
    assert len({repr(placed(array)) for array in (served, acted, prompted)}) == 1


def test_what_has_no_score_passes_a_threshold(fake_suite) -> None:
    answer = query(fake_suite, query=ASK, min_score=0.9).answer
    assert len(answer.affordances[0].keypoints) == 1


def test_several_questions_about_one_image(fake_suite) -> None:
    sentences = ['point at 320,240', 'nothing', 'point at 320,200']
    answer = query(fake_suite, query=sentences[0], queries=sentences[1:]).answer
    assert [item.query for item in answer.affordances] == sentences
    assert [len(item.keypoints) for item in answer.affordances] == [1, 0, 1]
    targets = fake_suite.client.call(srv.GetGraspTargets, GET, queries=sentences, timeout_s=10.0).targets
    assert targets.outcome.code == Code.OK, targets.outcome.message
    assert {target.query_index for target in targets.targets} == {0, 2}
    assert [(item.query_index, item.outcome.code) for item in targets.abstentions] == [(1, Code.EMPTY_MODEL_OUTPUT)]


def test_partial_answers_come_as_feedback(fake_suite) -> None:
    goal = fake_suite.client.send(
        PlanGrasps, '/target_node/plan_grasps', query=ASK, queries=['point at 320,200', 'point at 320,220']
    )
    assert goal.result().targets.outcome.code == Code.OK
    generating = PlanGrasps.Feedback.GENERATE
    last = (generating, 2)
    fake_suite.client.wait_for(lambda: last in [(item.stage, item.query_index) for item in goal.feedback], what='all')
    counts = [(item.query_index, len(item.partial)) for item in goal.feedback if item.stage == item.GENERATE]
    assert {index for index, _ in counts} == {0, 1, 2}
    assert all(index == count for index, count in counts)
    done = next(item for item in goal.feedback if item.query_index == 2)
    assert done.partial[0].keypoints[0].u == ON_BAR[0]
    fractions = [item.fraction for item in goal.feedback if item.stage == item.GENERATE]
    assert fractions == sorted(fractions)


def test_a_region_of_interest_is_what_the_model_sees(fake_suite) -> None:
    roi = RegionOfInterest(x_offset=260, y_offset=200, width=120, height=80)
    answer = query(fake_suite, query='point at 60,40', roi=roi).answer  # of the cut-out
    point = answer.affordances[0].keypoints[0]
    assert (point.u, point.v) == ON_BAR
    targets = fake_suite.client.call(
        srv.GetGraspTargets, GET, query='point at 60,40', roi=roi, timeout_s=10.0
    ).targets.targets
    found = targets[0].contact.point
    assert np.linalg.norm(np.array([found.x, found.y, found.z]) - point_of(ON_BAR)) < 0.002
    outside = RegionOfInterest(x_offset=2000, width=50, height=50)
    refused = query(fake_suite, query=ASK, roi=outside)
    assert refused.outcome.code == Code.BAD_INPUT
    assert '640x480' in refused.outcome.message


@pytest.mark.parametrize(
    ('fields', 'named'),
    [
        ({'query': 'x' * 3000}, '3000 characters'),
        ({'query': ASK, 'target_frame': 'f' * 500}, 'target_frame'),
        ({'query': ASK, 'queries': ['x'] * 40}, 'further queries'),
        ({'query': ASK, 'min_score': float('nan')}, 'min_score'),
        ({'query': ASK, 'camera': 'elbow'}, 'input.cameras'),
        ({'query': '', 'queries': ['']}, 'neither a query'),
    ],
)
def test_what_is_too_long_or_unknown_is_refused_by_name(fake_suite, fields: dict, named: str) -> None:
    response = query(fake_suite, **fields)
    assert response.outcome.code == Code.BAD_INPUT
    assert named in response.outcome.message


def test_a_frame_that_nobody_listens_for_is_refused(fake_suite) -> None:
    response = query(fake_suite, query=ASK, target_frame='map')
    assert response.outcome.code == Code.TF
    assert 'tf.target_frame' in response.outcome.message


def test_a_contact_is_verified_before_the_fingers_close(fake_suite) -> None:
    client = fake_suite.client
    targets = client.call(srv.GetGraspTargets, GET, query=ASK, timeout_s=10.0).targets
    best = targets.targets[0]

    def verify(target, **fields):
        return client.call(srv.VerifyContact, '/target_node/verify', header=targets.header, target=target, **fields)

    there = verify(best)
    assert there.outcome.code == Code.OK, there.outcome.message
    assert there.shift_m < 0.002
    assert 0 <= there.image_age.sec + there.image_age.nanosec * 1e-9 < 3
    best.contact.point.z -= 0.03  # as if the bar had sunk by 3 cm since
    moved = verify(best)
    assert moved.outcome.code == Code.MOVED
    assert moved.shift_m == pytest.approx(0.03, abs=0.003)
    assert verify(best, max_shift_m=0.05).outcome.code == Code.OK
    targets.header.frame_id = 'elsewhere'
    assert verify(best).outcome.code == Code.TF
    best.contact.point.z = -1.0
    targets.header.frame_id = 'camera_optical_frame'
    assert verify(best).outcome.code == Code.OUT_OF_IMAGE
