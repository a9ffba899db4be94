# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What comes from the network is text of bounded length: it opens no file, runs nothing and fills no memory."""

import math
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from affordance_ros.action import PlanGrasps, PredictAffordance  # noqa: E402
from geometry_msgs.msg import TransformStamped  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402
from synthetic_camera import Shot, wait_for_subscribers  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from affordance_ros import msg, srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402
from affordance_ros.models.registry import POCKET_FOLDER  # noqa: E402

pytestmark = pytest.mark.ros
LOAD = '/affordance_node/load_model'
LONG = 'x' * 3000
TARGETS, QUERY, SNAPSHOT = '/target_node/get_grasp_targets', '/affordance_node/query', '/affordance_node/get_snapshot'
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def folders(tmp_path_factory) -> dict[str, Path]:
    """Checkpoint folders inside and outside of what the node may open, and what an attacker would put there."""
    root = tmp_path_factory.mktemp('checkpoints')
    paths = {name: root / name for name in ('allowed', 'outside')}
    for path in paths.values():
        shutil.copytree(POCKET_FOLDER / 'robopoint', path / 'evil')
        (path / 'evil' / 'model.safetensors').unlink()
        _pickle_that_writes(path / 'evil' / 'pytorch_model.bin', root / 'owned')
    (paths['allowed'] / 'link').symlink_to(paths['outside'] / 'evil')
    (paths['outside'] / 'hand.yaml').write_text('hand: {}')
    return paths | {'owned': root / 'owned'}


def _pickle_that_writes(path: Path, marker: Path) -> None:
    """Write a checkpoint in torch's format that runs a command when it is unpickled without care."""
    command = f'touch {marker}'
    pickled = b'cposix\nsystem\n(V' + command.encode() + b'\ntR.'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', pickled)
        archive.writestr('archive/version', '3\n')


@pytest.fixture(scope='module')
def guarded(module_suite, folders):
    """A suite whose requests may load from one folder."""
    module_suite.start_fake({'model.folders': str(folders['allowed']), 'model.warmup': False})
    return module_suite


@pytest.mark.parametrize('path', ['outside/evil', 'allowed/../outside/evil', 'allowed/link', '/etc', 'allowed/..'])
def test_a_request_opens_no_checkpoint_outside_the_folders(guarded, folders, path: str) -> None:
    asked = os.path.join(folders['allowed'].parent, path)
    refused = guarded.client.call(srv.LoadModel, LOAD, name='robopoint', checkpoint=asked)
    assert refused.outcome.code == Code.BAD_INPUT
    assert 'outside the folders' in refused.outcome.message
    assert refused.model.name == 'fake'


def test_a_checkpoint_that_holds_a_program_does_not_run_it(guarded, folders) -> None:
    asked = str(folders['allowed'] / 'evil')
    refused = guarded.client.call(srv.LoadModel, LOAD, 60.0, name='robopoint', checkpoint=asked)
    assert refused.outcome.code == Code.BAD_CHECKPOINT
    assert 'pytorch_model.bin holds more than tensors and is not trusted' in refused.outcome.message
    assert not folders['owned'].exists()
    assert guarded.client.call(srv.QueryAffordance, QUERY, query='at 1,1').outcome.code == Code.OK


def test_the_pickle_of_that_test_would_have_run(folders, tmp_path) -> None:
    marker = tmp_path / 'ran'
    _pickle_that_writes(tmp_path / 'a.bin', marker)
    with zipfile.ZipFile(tmp_path / 'a.bin') as archive:
        pickle.loads(archive.read('archive/data.pkl'))
    assert marker.exists()
    assert not folders['owned'].exists()


@pytest.mark.parametrize('gripper', ['outside/hand.yaml', 'outside/none.yaml', 'tentacle'])
def test_a_request_opens_no_gripper_file(guarded, folders, gripper: str) -> None:
    name = str(folders['outside'].parent / gripper) if '/' in gripper else gripper
    for refused in (
        guarded.client.call(srv.GetGraspTargets, TARGETS, query='at 1,1', gripper=name).targets,
        guarded.client.send(PlanGrasps, '/target_node/plan_grasps', query='at 1,1', gripper=name).result().targets,
    ):
        assert refused.outcome.code == Code.BAD_INPUT
        assert refused.outcome.message.startswith('unknown gripper')  # and not whether there is such a file
    changed = guarded.client.set_parameters('/target_node', gripper=name)[0]
    assert not changed.successful
    assert changed.reason.startswith('unknown gripper')


@pytest.mark.parametrize('field', ['query', 'object', 'action', 'task', 'camera', 'target_frame', 'request_id'])
def test_endless_texts_of_requests_are_refused_by_name(guarded, field: str) -> None:
    fields = {'query': 'at 1,1'} | {field: LONG}
    answers = [
        guarded.client.call(srv.QueryAffordance, QUERY, **fields).outcome,
        guarded.client.send(PredictAffordance, '/affordance_node/predict', **fields).result().outcome,
    ]
    if field in ('query', 'camera', 'target_frame'):
        answers.append(guarded.client.call(srv.GetGraspTargets, TARGETS, **fields).targets.outcome)
    for outcome in answers:
        assert (outcome.code, f'{field} is 3000 characters long' in outcome.message) == (Code.BAD_INPUT, True)
        assert len(outcome.message) < 300  # the text is not handed on


def test_endless_names_of_the_other_services_are_refused(guarded) -> None:
    client = guarded.client
    outcomes = [
        client.call(srv.GetSnapshot, SNAPSHOT, camera=LONG).outcome,
        client.call(srv.GetSnapshot, SNAPSHOT, target_frame=LONG).outcome,
        client.call(srv.SetPrompt, '/affordance_node/set_prompt', query=LONG).outcome,
        client.call(srv.LoadModel, LOAD, name=LONG).outcome,
        client.call(srv.LoadModel, LOAD, name='robopoint', checkpoint='/' + LONG).outcome,
        client.call(srv.LoadModel, LOAD, name='robopoint', device='cu\0da').outcome,
        client.call(srv.VerifyContact, '/target_node/verify', camera=LONG).outcome,
        client.call(srv.GetGraspTargets, TARGETS, query='x', gripper=LONG).targets.outcome,
    ]
    assert [Code(outcome.code) for outcome in outcomes] == [Code.BAD_INPUT] * len(outcomes)


@pytest.mark.parametrize('number', [math.nan, math.inf, -math.inf, -1.0, 1e300])
def test_numbers_that_are_none_get_an_answer(guarded, number: float) -> None:
    """A request that nobody answers would hold its caller for ever."""
    client = guarded.client
    small = math.copysign(min(abs(number), 3e38), number)  # a float32
    target = msg.GraspTarget()
    target.contact.point.x = target.contact.normal.z = number
    header = Header(frame_id='camera_optical_frame')
    asked = client.call(srv.QueryAffordance, QUERY, query='at 1,1', timeout_s=small).outcome
    scored = client.call(srv.QueryAffordance, QUERY, query='at 1,1', min_score=small).outcome
    planned = client.call(srv.GetGraspTargets, TARGETS, query='at 1,1', timeout_s=small).targets.outcome
    verified = client.call(srv.VerifyContact, '/target_node/verify', header=header, target=target).outcome
    moved = client.call(srv.VerifyContact, '/target_node/verify', header=header, max_shift_m=small).outcome
    codes = [Code(outcome.code) for outcome in (asked, scored, planned, verified, moved)]
    assert Code.INTERNAL not in codes, [outcome.message for outcome in (asked, scored, planned, verified, moved)]
    assert codes[1] == Code.BAD_INPUT
    assert Code.OK not in codes[3:]


def test_an_endless_prompt_on_the_topic_is_not_taken(guarded) -> None:
    client = guarded.client
    prompt = client.node.create_publisher(String, '/prompt', 10)
    wait_for_subscribers(client, '/prompt')
    node = guarded.processes.running[0]

    def refused() -> bool:
        prompt.publish(String(data=LONG))
        return 'the prompt is 3000 characters long' in node.text

    client.wait_for(refused, what='the refusal')
    client.node.destroy_publisher(prompt)


def test_endless_frame_names_are_not_kept(suite) -> None:
    suite.start_camera()
    node = suite.start('affordance_node', {'model.name': 'fake', 'tf.target_frame': 'base', 'model.warmup': False})
    suite.client.wait_active('/affordance_node')
    tf = suite.client.node.create_publisher(TFMessage, '/tf', 10)

    def flood() -> bool:
        poses = []
        for child in ('f' * 5000, 'base'):
            pose = TransformStamped(child_frame_id=child)
            pose.header.frame_id = 'camera_optical_frame'
            pose.header.stamp = suite.client.node.get_clock().now().to_msg()
            pose.transform.rotation.w = 1.0
            poses.append(pose)
        tf.publish(TFMessage(transforms=poses))
        return 'names of up to 200 characters are taken from /tf' in node.text

    suite.client.wait_for(flood, what='the warning')
    assert node.text.count('are taken from /tf') == 1
    suite.camera.shot = Shot(frame='f' * 5000)
    outcomes: list = []

    def refused() -> bool:
        flood()
        outcomes.append(suite.client.call(srv.QueryAffordance, QUERY, query='at 1,1').outcome)
        return outcomes[-1].code == Code.BAD_INPUT

    suite.client.wait_for(refused, what='the refusal of the frame of the image')
    assert 'the frame_id of the image is 5000 characters long' in outcomes[-1].message
