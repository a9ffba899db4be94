# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance doctor --ros` sees what is right and what is wrong on a running graph, and says what to do."""

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from affordance_ros.scenes import SensorModel, sample_scene

pytest.importorskip('rclpy')

from synthetic_camera import Shot, depth_image  # noqa: E402

pytestmark = pytest.mark.ros
DOCTOR = [sys.executable, '-c', 'from affordance_ros.cli import main; main()', 'doctor', '--ros', '--wait']


def doctor(wait_s: float = 60.0) -> tuple[int, str]:
    done = subprocess.run([*DOCTOR, str(wait_s)], capture_output=True, text=True, timeout=240)
    return done.returncode, done.stdout + done.stderr


def test_an_empty_graph_is_told(ros_domain: int) -> None:
    status, text = doctor(1.0)
    assert status == 1
    assert 'affordance up' in text
    assert f'ROS_DOMAIN_ID {ros_domain} for 1 s' in text


def test_a_good_graph_that_starts_while_the_doctor_looks(module_suite) -> None:
    suite = module_suite
    see_scene(suite.start_camera())
    started = subprocess.Popen([*DOCTOR, '60'], stdout=subprocess.PIPE, text=True)
    suite.client.wait_for(lambda: 'affordance_doctor' in suite.client.node.get_node_names(), what='the doctor')
    publish_pose(suite.client.node)
    parameters = {'input.warn_after_s': 1.0, 'tf.target_frame': 'map', 'depth.registration': 'off'}
    suite.start_fake(parameters | {'model.options': '{"load_s": 2.0}', 'model.warmup': False})
    text = started.communicate(timeout=240)[0]
    assert started.returncode == 0, text
    assert 'everything that is needed is there' in text
    assert re.search(r'/image +.*640x480 rgb8', text)
    assert re.search(r'colour with depth +stamps 0.0 ms apart', text)
    assert re.search(r' ok +edges of colour and depth +they fit within [0-4] px .[1-5] frame', text)
    assert re.search(r'/affordance_node model +fake', text)
    assert re.search(r'camera_optical_frame -> map is known at the stamp', text)
    assert re.search(r'memory cpu +[0-9.]+ GiB free', text)


def test_depth_that_is_not_registered_is_told(module_suite) -> None:
    see_scene(module_suite.camera, shift=(12, 0))
    status, text = doctor()
    assert status == 1
    found = re.search(r'missing +edges of colour and depth +they do not fit.*shifted by .(-?\d+), (-?\d+). px', text)
    assert found, text
    assert abs(int(found[1]) + 12) <= 4  # how far it has to go back
    assert abs(int(found[2])) <= 4
    assert 'align_depth' in text


def test_a_camera_without_a_picture_is_not_blamed(module_suite) -> None:
    camera = module_suite.camera
    camera.pixels, camera.metres = np.full_like(camera.pixels, 90), depth_image()
    status, text = doctor()
    assert status == 0, text
    assert re.search(r'note +edges of colour and depth +too little to tell', text)


def test_a_bad_camera_is_told(module_suite) -> None:
    suite = module_suite
    suite.camera.shot = Shot(depth_frame='depth_optical_frame', depth_delay_ns=40_000_000, info=False)
    suite.client.wait_for(lambda: 'nothing on /camera_info' in suite.processes.running[0].text, what='the silence')
    status, text = doctor()
    assert status == 1
    assert re.search(
        r'colour with depth +stamps [0-9.]+ ms apart .median., 20 ms are allowed -> raise input.slop_s', text
    )
    assert re.search(r"registration +depth is in frame 'depth_optical_frame'.*align_depth", text)
    assert re.search(r'/camera_info +nothing for 4 s .1 publisher', text)
    assert re.search(r'/affordance_node says +nothing on /camera_info', text)


def test_what_the_node_cannot_read_and_a_node_that_does_not_serve(module_suite) -> None:
    suite = module_suite
    suite.camera.shot = Shot(color_encoding='yuv422', depth_encoding='32FC1', scale=1000.0)
    os.kill(suite.processes.running[0].children()[0], signal.SIGKILL)
    assert suite.client.change('/target_node', 4)
    suite.client.wait_for(lambda: 'it is being started again' in suite.processes.running[0].text, what='the restart')
    status, text = doctor()
    assert status == 1
    assert re.search(r'/image +BAD_ENCODING.*yuv422', text)
    assert re.search(r'/depth/image +UNITS', text)
    assert re.search(r'/target_node +state: inactive -> ros2 lifecycle set /target_node', text)
    assert re.search(r'/affordance_node model +its process ended 1 time', text)


def see_scene(camera, shift: tuple[int, int] = (0, 0)) -> None:
    """Show the camera a simulated scene, its depth with the errors of a sensor and shifted by (du, dv)."""
    frame = SensorModel().apply(sample_scene(11, 'vga').render().frame, np.random.default_rng(11))
    metres = np.roll(np.nan_to_num(frame.depth), shift[::-1], (0, 1))
    camera.pixels, camera.metres = frame.rgb, metres


def publish_pose(node) -> None:
    """Publish where the camera is, latched."""
    from geometry_msgs.msg import TransformStamped
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from tf2_msgs.msg import TFMessage

    pose = TransformStamped(child_frame_id='camera_optical_frame')
    pose.header.frame_id = 'map'
    pose.transform.rotation.w = 1.0
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node.create_publisher(TFMessage, '/tf_static', latched).publish(TFMessage(transforms=[pose]))
