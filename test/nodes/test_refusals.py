# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong with the camera, the answer is a code and a sentence that names it, and the node serves on."""

import time

import pytest

pytest.importorskip('rclpy')

from affordance_ros.action import PredictAffordance  # noqa: E402
from synthetic_camera import Shot  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402
from affordance_ros.results import Intrinsics  # noqa: E402

pytestmark = pytest.mark.ros
DEACTIVATE, ACTIVATE = 4, 3
SMALL = Intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)


@pytest.fixture(scope='module')
def impatient(module_suite):
    """A suite that gives up on the camera after three seconds."""
    module_suite.start_fake({'run.wait_image_s': 3.0, 'input.max_age_s': 5.0})  # a busy machine makes images old
    return module_suite


def ask(suite):
    return suite.client.call(
        srv.GetGraspTargets, '/target_node/get_grasp_targets', query='point at 320,240', timeout_s=8.0
    ).targets


def restart(suite, shot: Shot) -> None:
    """Let the camera publish something else; nothing of before is remembered."""
    suite.camera.shot = shot
    suite.client.wait_for(lambda: shot.sent, what='the first bundle of the other kind')  # the one before is out as well
    assert suite.client.change('/affordance_node', DEACTIVATE)
    assert suite.client.change('/affordance_node', ACTIVATE)


@pytest.mark.parametrize(
    ('shot', 'code', 'named'),
    [
        (Shot(color=False), Code.NO_IMAGE, '/image'),
        (Shot(depth=False), Code.NO_DEPTH, '/depth/image'),
        (Shot(info=False), Code.NO_IMAGE, '/camera_info'),
        (Shot(color_encoding='yuv422'), Code.BAD_ENCODING, 'yuv422'),
        (Shot(depth_encoding='8UC1'), Code.BAD_ENCODING, '8UC1'),
        (Shot(depth_encoding='32FC1', scale=1000.0), Code.UNITS, '32FC1'),
        (Shot(depth_frame='depth_optical_frame'), Code.UNALIGNED, 'depth_optical_frame'),
        (Shot(depth_delay_ns=30_000_000), Code.UNALIGNED, 'input.slop_s'),
        (Shot(frame=''), Code.BAD_INPUT, 'empty frame_id'),
        (Shot(intrinsics=SMALL), Code.BAD_INPUT, 'camera_info is for 320x240, the image is 640x480'),
        (Shot(cut=1000), Code.BAD_INPUT, 'the image says 640x480 rgb8, step 1920, but holds 920600 bytes'),
        (Shot(age_s=30.0), Code.STALE, 's old'),
        (Shot(age_s=-60.0), Code.STALE, 'in the future'),
    ],
    ids=lambda value: getattr(value, 'name', None),
)
def test_a_bad_camera_is_named(impatient, shot: Shot, code: Code, named: str) -> None:
    restart(impatient, shot)
    targets = ask(impatient)
    assert Code(targets.outcome.code) == code, targets.outcome.message
    assert named in targets.outcome.message
    assert targets.targets == []


def test_and_a_good_one_is_served_again(impatient) -> None:
    restart(impatient, Shot())
    assert ask(impatient).outcome.code == Code.OK
    restart(impatient, Shot(depth_encoding='32FC1'))
    assert ask(impatient).outcome.code == Code.OK


def test_a_camera_that_falls_silent_is_stale(impatient) -> None:
    restart(impatient, Shot())
    assert ask(impatient).outcome.code == Code.OK
    impatient.camera.shot = Shot(color=False, depth=False, info=False)
    time.sleep(0.6)
    client = impatient.client
    assert client.set_parameters('/affordance_node', input__max_age_s=0.5)[0].successful
    assert ask(impatient).outcome.code == Code.STALE
    assert client.set_parameters('/affordance_node', input__max_age_s=5.0)[0].successful


def test_an_inactive_node_says_so(impatient) -> None:
    assert impatient.client.change('/affordance_node', DEACTIVATE)
    result = impatient.client.send(PredictAffordance, '/affordance_node/predict', query='x').result()
    assert result.outcome.code == Code.NOT_ACTIVE
    assert impatient.client.change('/affordance_node', ACTIVATE)
