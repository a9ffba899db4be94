# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole path over real DDS in separate processes: a sentence in, a target on the asked part out, and every refusal by its code."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from sensor_msgs.msg import CameraInfo, Image

from affordance_ros import msg, srv
from affordance_ros.action import PlanGrasps, PredictAffordance
from affordance_ros.datasets.scene_views import canonical_point
from affordance_ros.errors import Code
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.images import camera_info_message, image_message
from affordance_ros.scenes import sample_scene

SEED = 5
FOLDER = '/tmp/affordance_ros_test'  # where requests may load from


@pytest.fixture(scope='module')
def suite(graph: Any) -> Iterator[Any]:
    """A simulated camera and the suite with the model `fake`, targets in the table frame."""
    graph.start('scene_node', scene__seed=SEED, scene__must_have="'red mug'")
    graph.start(
        'affordance_node', model__name='fake', model__checkpoint="''", tf__target_frame='table', model__folders=FOLDER
    )
    graph.start('target_node')
    for name in ('scene_node', 'affordance_node', 'target_node'):
        graph.until_active(name)
    return graph


def ask(suite: Any, query: str, **fields: Any) -> msg.GraspTargetArray:
    return suite.call(srv.GetGraspTargets, 'target_node/get_grasp_targets', query=query, **fields).targets


def handle_of_the_mug() -> tuple[Any, Any, Any]:
    scene = sample_scene(SEED, must_have=('red', 'mug'))
    view = scene.render()
    part = scene.find('grasp the red mug by its handle')
    assert part is not None
    return scene, view, scene.truth(view, part.id)


def test_a_sentence_gives_a_target_on_the_asked_part(suite: Any) -> None:
    scene, _, truth = handle_of_the_mug()
    u, v = canonical_point(truth.mask)
    targets = ask(suite, f'point at {u:.0f},{v:.0f}')
    assert targets.outcome.code == Code.OK, targets.outcome.message
    assert targets.header.frame_id == 'table'
    contact = convert.contact_from(targets.targets[0].contact)
    table_from_camera = np.asarray(scene.table_from_camera)
    in_camera = table_from_camera[:3, :3].T @ (np.asarray(contact.point) - table_from_camera[:3, 3])
    assert truth.distance_m(in_camera) < 0.010
    best = targets.targets[0]
    assert 0 < best.score <= 1
    assert list(best.sub_score_names)
    approach, pregrasp = convert.vector_array(best.approach), convert.matrix_from_pose(best.pregrasp)
    np.testing.assert_allclose(convert.matrix_from_pose(best.grasp)[:3, 2], approach, atol=1e-5)
    assert np.linalg.norm(pregrasp[:3, 3] - convert.matrix_from_pose(best.grasp)[:3, 3]) == pytest.approx(
        0.08, abs=1e-4
    )
    assert convert.nanoseconds_of(targets.header.stamp) > 0
    assert {stage.stage for stage in targets.stages} >= {'model', 'lift', 'grasp'}


def test_the_answers_are_published_with_the_stamp_of_the_image(suite: Any) -> None:
    seen: dict[str, Any] = {}
    client = suite.client
    topics = {
        'affordance_node/affordances': msg.AffordanceArray,
        'affordance_node/evidence': msg.Evidence,
        'target_node/grasp_targets': msg.GraspTargetArray,
    }
    listeners = [
        client.create_subscription(kind, topic, lambda m, topic=topic: seen.__setitem__(topic, m), 10)
        for topic, kind in topics.items()
    ]
    suite.until(lambda: all(client.count_publishers(topic) for topic in topics))
    time.sleep(0.3)
    ask(suite, 'point at 320,240')
    suite.until(lambda: len(seen) == 3)
    stamps = {
        convert.nanoseconds_of(m.header.stamp if topic != 'affordance_node/evidence' else m.answer.header.stamp)
        for topic, m in seen.items()
    }
    assert len(stamps) == 1
    evidence = seen['affordance_node/evidence']
    assert evidence.depth.encoding == '32FC1'
    assert evidence.has_pose
    assert evidence.camera_info.width == 640
    for listener in listeners:
        client.destroy_subscription(listener)


def test_nothing_found_and_table_are_refused_not_guessed(suite: Any) -> None:
    assert ask(suite, 'nothing').outcome.code == Code.EMPTY_MODEL_OUTPUT
    empty = ask(suite, '   ')
    assert empty.outcome.code == Code.BAD_INPUT
    assert not empty.targets


def test_an_unknown_model_is_refused_and_the_old_one_goes_on(suite: Any) -> None:
    answer = suite.call(srv.LoadModel, 'affordance_node/load_model', name='robopint')
    assert answer.outcome.code == Code.UNKNOWN_MODEL
    assert 'robopoint' in answer.outcome.message
    assert answer.model.name == 'fake'
    listed = suite.call(srv.ListModels, 'affordance_node/list_models').models
    assert [model.name for model in listed if model.loaded] == ['fake']
    assert ask(suite, 'point at 320,240').outcome.code != Code.NOT_ACTIVE


def test_missing_weights_are_refused_by_name(suite: Any) -> None:
    answer = suite.call(srv.LoadModel, 'affordance_node/load_model', name='robopoint', checkpoint=f'{FOLDER}/none')
    assert answer.outcome.code == Code.MISSING_WEIGHTS
    assert f'{FOLDER}/none' in answer.outcome.message


def test_a_checkpoint_outside_the_allowed_folders_is_not_opened(suite: Any) -> None:
    answer = suite.call(srv.LoadModel, 'affordance_node/load_model', name='robopoint', checkpoint='/etc')
    assert answer.outcome.code == Code.BAD_INPUT
    assert 'model.folders' in answer.outcome.message


def test_a_killed_worker_costs_one_answer(suite: Any) -> None:
    children = subprocess.run(
        ['pgrep', '-P', str(suite.pid('affordance_node'))], capture_output=True, text=True, check=True
    )
    for child in children.stdout.split():
        os.kill(int(child), signal.SIGKILL)
    first = ask(suite, 'point at 320,240').outcome
    second = ask(suite, 'point at 320,240').outcome
    assert first.code in (Code.WORKER_DIED, second.code)  # a death that is noticed in time costs nothing
    assert second.code not in (Code.WORKER_DIED, Code.NOT_ACTIVE)


def test_plan_grasps_gives_feedback_and_the_same_answer(suite: Any) -> None:
    stages: list[int] = []
    action = ActionClient(suite.client, PlanGrasps, 'target_node/plan_grasps')
    assert action.wait_for_server(timeout_sec=10)
    goal = PlanGrasps.Goal(query='point at 320,240')
    handle = suite.wait(action.send_goal_async(goal, feedback_callback=lambda m: stages.append(m.feedback.stage)))
    result = suite.wait(handle.get_result_async())
    assert result.result.targets.request_id
    assert PlanGrasps.Feedback.GENERATE in stages
    action.destroy()


def test_cancel_answers_within_half_a_second_and_the_node_serves_on(suite: Any) -> None:
    suite.start(
        'affordance_node',
        'slow_node',
        model__name='fake',
        model__checkpoint="''",
        model__options='\'{"delay_s": 8.0}\'',
    )
    suite.until_active('slow_node')
    action = ActionClient(suite.client, PredictAffordance, 'slow_node/predict')
    assert action.wait_for_server(timeout_sec=10)
    texts: list[str] = []
    goal = PredictAffordance.Goal(query='point at 320,240')
    handle = suite.wait(action.send_goal_async(goal, feedback_callback=lambda m: texts.append(m.feedback.text)))
    suite.until(lambda: any(texts))
    start = time.monotonic()
    suite.wait(handle.cancel_goal_async())
    result = suite.wait(handle.get_result_async())
    assert time.monotonic() - start < 0.5
    assert result.status == GoalStatus.STATUS_CANCELED
    assert result.result.outcome.code == Code.CANCELED
    handle = suite.wait(action.send_goal_async(PredictAffordance.Goal(query='point at 1,1', timeout_s=0.5)))
    result = suite.wait(handle.get_result_async())
    assert result.result.outcome.code == Code.TIMEOUT
    action.destroy()
    assert suite.stop('slow_node') == 0
    assert 'Traceback' not in suite.log('slow_node')


def publish(suite: Any, prefix: str, depth: Image | None, stamp_shift_s: float = 0.0) -> Any:
    """Publish one camera under a prefix at 10 Hz."""
    _, view, _ = handle_of_the_mug()
    client, frame = suite.client, view.frame
    image, info = (
        client.create_publisher(Image, f'{prefix}/image', 1),
        client.create_publisher(CameraInfo, f'{prefix}/camera_info', 1),
    )
    depths = client.create_publisher(Image, f'{prefix}/depth/image', 1)

    def tick() -> None:
        stamp = convert.time_message(client.get_clock().now().nanoseconds + int(stamp_shift_s * 1e9))
        header = convert.Header(stamp=stamp, frame_id='camera')
        info.publish(camera_info_message(frame.intrinsics, header))
        image.publish(image_message(frame.rgb, 'rgb8', header))
        if depth is not None:
            depth.header = header
            depths.publish(depth)

    return client.create_timer(0.1, tick)


@pytest.mark.parametrize(
    ('case', 'code'),
    [('no_camera', Code.NO_IMAGE), ('no_depth', Code.NO_DEPTH), ('bad_depth', Code.BAD_ENCODING), ('old', Code.STALE)],
)
def test_bad_input_is_refused_by_its_code(suite: Any, case: str, code: Code) -> None:
    name = f'{case}_node'
    remaps = {'image': f'{case}/image', 'depth/image': f'{case}/depth/image', 'camera_info': f'{case}/camera_info'}
    suite.start('affordance_node', name, remaps, model__name='fake', model__checkpoint="''", run__wait_image_s=1.5)
    suite.until_active(name)
    good = image_message(np.full((480, 640), 0.7, np.float32), '32FC1', convert.Header())
    bad = image_message(np.zeros((480, 640), np.uint8), '8UC1', convert.Header())
    depth = {'no_depth': None, 'bad_depth': bad, 'old': good}.get(case)
    timer = None if case == 'no_camera' else publish(suite, case, depth, -60.0 if case == 'old' else 0.0)
    action = ActionClient(suite.client, PredictAffordance, f'{name}/predict')
    assert action.wait_for_server(timeout_sec=10)
    handle = suite.wait(action.send_goal_async(PredictAffordance.Goal(query='point at 320,240')))
    outcome = suite.wait(handle.get_result_async()).result.outcome
    assert outcome.code == code, outcome.message
    assert len(outcome.message) > 20
    action.destroy()
    if timer is not None:
        suite.client.destroy_timer(timer)
    assert suite.stop(name) == 0


def test_without_a_pose_the_target_frame_is_refused(suite: Any) -> None:
    suite.start(
        'affordance_node',
        'lost_node',
        model__name='fake',
        model__checkpoint="''",
        tf__target_frame='moon',
        tf__timeout_s=0.1,
    )
    suite.start('target_node', 'lost_targets', source='lost_node')
    for name in ('lost_node', 'lost_targets'):
        suite.until_active(name)
    answer = suite.call(srv.GetGraspTargets, 'lost_targets/get_grasp_targets', query='point at 320,240').targets
    assert answer.outcome.code == Code.TF
    assert "'moon'" in answer.outcome.message
    assert not answer.targets
    for name in ('lost_node', 'lost_targets'):
        assert suite.stop(name) == 0


def test_ctrl_c_ends_all_without_a_trace(suite: Any) -> None:
    for name in ('scene_node', 'target_node', 'affordance_node'):
        assert suite.stop(name) == 0, suite.log(name)
        assert 'Traceback' not in suite.log(name), suite.log(name)
