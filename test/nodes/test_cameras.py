# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several cameras by name, compressed streams, and topics that stay silent: each told by name."""

import struct
import time

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from synthetic_camera import ON_BAR, Shot, SyntheticCamera, depth_image, point_of  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402
from affordance_ros.nodes import conversions as convert  # noqa: E402

pytestmark = pytest.mark.ros
FAKE = {'model.name': 'fake', 'model.warmup': False}
GET = '/target_node/get_grasp_targets'
ASK = f'point at {ON_BAR[0]:.0f},{ON_BAR[1]:.0f}'


class Compressor:
    """Publishes what the image_transport plugins would beside each shot of a camera."""

    def __init__(self, client, camera: SyntheticCamera, depth: str) -> None:
        self._node, self._depth = client.node, depth
        qos = QoSProfile(depth=5)
        self._color = self._node.create_publisher(CompressedImage, '/image/compressed', qos)
        self._depths = self._node.create_publisher(CompressedImage, '/depth/image/compressedDepth', qos)
        camera.shot = Shot(color=False, depth=False, hook=self._publish)

    def _publish(self, stamp_ns: int) -> None:
        header = Header(stamp=convert.time_message(stamp_ns), frame_id='camera_optical_frame')
        jpeg = cv2.imencode('.jpg', np.full((480, 640, 3), 90, np.uint8))[1].tobytes()
        self._color.publish(CompressedImage(header=header, format='rgb8; jpeg compressed bgr8', data=jpeg))
        metres = depth_image()
        if self._depth == '16UC1':
            pixels, scale = np.rint(metres * 1000).astype(np.uint16), (0.0, 0.0)
        else:  # inverse depth, quantised as the plugin does with its defaults (100, 10 m)
            a, b = 100.0 * 101.0, 1.0 - 100.0 * 101.0 / 10.0
            pixels, scale = np.rint(a / metres + b).astype(np.uint16), (a, b)
        png = cv2.imencode('.png', pixels)[1].tobytes()
        message = CompressedImage(header=header, format=f'{self._depth}; compressedDepth png')
        message.data = struct.pack('<iff', 0, *scale) + png
        self._depths.publish(message)

    def close(self) -> None:
        self._node.destroy_publisher(self._color)
        self._node.destroy_publisher(self._depths)


@pytest.mark.parametrize('encoding', ['16UC1', '32FC1'])
def test_compressed_streams_are_as_good_as_raw_ones(suite, encoding: str) -> None:
    camera = suite.start_camera()
    compressor = Compressor(suite.client, camera, encoding)
    suite.start(
        'affordance_node',
        FAKE | {'input.image_transport': 'compressed', 'input.depth_transport': 'compressedDepth'},
    )
    suite.start('target_node')
    suite.client.wait_active('/affordance_node', '/target_node')
    targets = suite.client.call(srv.GetGraspTargets, GET, query=ASK, timeout_s=10.0).targets
    assert targets.outcome.code == Code.OK, targets.outcome.message
    found = targets.targets[0].contact.point
    assert np.linalg.norm(np.array([found.x, found.y, found.z]) - point_of(ON_BAR)) < 0.003
    last = camera.shot = Shot(color=False, depth=False)
    suite.client.wait_for(lambda: last.sent, what='the end of the hook')
    compressor.close()


def test_cameras_are_asked_by_name(suite) -> None:
    client = suite.client
    cameras = {name: SyntheticCamera(client, f'/{name}') for name in ('wrist', 'front')}
    try:
        cameras['front'].shot = Shot(scale=1.5)
        suite.start('affordance_node', FAKE | {'input.cameras': 'wrist, front'})
        suite.start('target_node')
        client.wait_active('/affordance_node', '/target_node')
        depth = {}
        for name in ('wrist', 'front', ''):
            targets = client.call(srv.GetGraspTargets, GET, query=ASK, camera=name, timeout_s=10.0).targets
            depth[name] = [target.contact.point.z for target in targets.targets] or [
                item.outcome.message for item in targets.abstentions
            ]
        assert depth['wrist'][0] == pytest.approx(0.64, abs=0.003)
        assert depth['front'][0] == pytest.approx(0.96, abs=0.004)
        assert depth[''][0] == pytest.approx(0.64, abs=0.003)  # the first one
        status = client.listen(DiagnosticArray, '/diagnostics')
        client.wait_for(lambda: any(s.name == '/affordance_node' for a in status for s in a.status), what='health')
        values = {v.key: v.value for a in status for s in a.status if s.name == '/affordance_node' for v in s.values}
        assert int(values['wrist bundles']) > 0
        assert float(values['front image Hz']) > 1
    finally:
        for camera in cameras.values():
            camera.close()


def test_silent_topics_are_warned_about_with_what_is_offered(suite) -> None:
    node = suite.client.node
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publishers = [node.create_publisher(Image, topic, best_effort) for topic in ('/image', '/wrist/depth')]
    overrides = {'qos_overrides': {'/image': {'subscription': {'reliability': 'reliable'}}}}
    process = suite.start('affordance_node', FAKE | overrides | {'input.warn_after_s': 1.0})
    suite.client.wait_active('/affordance_node')

    def said(*parts: str):
        return lambda: any(all(part in line for part in parts) for line in process.text.splitlines())

    suite.client.wait_for(said('nothing on /image for', 'BEST_EFFORT', 'we ask for RELIABLE'), what='the QoS')
    suite.client.wait_for(said('nothing on /depth/image for', 'Image is on', '/wrist/depth'), what='the candidates')
    suite.client.wait_for(said('nothing on /camera_info for', 'nobody publishes it'), what='the camera info')
    time.sleep(2.0)
    lines = [line for line in process.text.splitlines() if 'nothing on /image for' in line]
    reasons = [line.split(' s (', 1)[-1] for line in lines]
    assert len(set(reasons)) == len(reasons)  # said again only when there is something new to say
    for publisher in publishers:
        node.destroy_publisher(publisher)


def test_other_transports_of_a_silent_topic_are_pointed_at(suite) -> None:
    node = suite.client.node
    publishers = [
        node.create_publisher(CompressedImage, '/image/compressed', 1),
        node.create_publisher(Image, '/front/depth/image', 1),
        node.create_publisher(Image, '/camera_info', 1),
    ]
    process = suite.start('affordance_node', FAKE | {'input.warn_after_s': 1.0})
    front = {'input.cameras': 'front', 'input.depth_transport': 'compressedDepth', 'input.warn_after_s': 1.0}
    other = suite.start('affordance_node', FAKE | front, remap=('__node:=front_node',))
    told = (
        (process, '/image/compressed is there: set input.image_transport to compressed'),
        (process, '(1 publisher(s) offering RELIABLE VOLATILE, but of type Image: '),
        (other, '/front/depth/image is there: set input.depth_transport to raw'),
    )
    for who, text in told:
        suite.client.wait_for(lambda who=who, text=text: text in who.text, 40.0, text)
    for publisher in publishers:
        node.destroy_publisher(publisher)


def test_diagnostics_say_what_is_wrong_and_what_is_measured(suite) -> None:
    suite.start_fake({'input.warn_after_s': 1.0})
    client = suite.client
    status: list = client.listen(DiagnosticArray, '/diagnostics')

    def latest() -> object:
        return next((s for a in reversed(list(status)) for s in a.status if s.name == '/affordance_node'), None)

    assert client.call(srv.GetGraspTargets, GET, query=ASK, timeout_s=10.0).targets.outcome.code == Code.OK
    client.wait_for(lambda: latest() and any(v.key == 'model p50 ms' for v in latest().values), what='stage times')
    values = {v.key: v.value for v in latest().values}
    assert values['model state'] == 'ready'
    assert float(values['image Hz']) > 1
    assert float(values['bundle Hz']) > 1
    assert values['state'] == 'active'
    assert values['image topic'] == '/image'
    assert float(values['depth valid ratio']) > 0.9
    assert float(values['node MiB']) > 10
    assert float(values['model MiB']) > 10
    assert int(values['answered']) >= 1
    assert {'wait p95 ms', 'decode p50 ms', 'last refusal'} <= set(values)
    suite.camera.shot = Shot(color=False, depth=False, info=False)
    client.wait_for(lambda: 'nothing on' in latest().message, what='the trouble')
    assert ord(latest().level) == 1
    assert '1 publisher(s) offering RELIABLE VOLATILE' in latest().message

    def stamps() -> list[float]:
        own = [array.header.stamp for array in list(status) if array.status[0].name == '/target_node']
        return [stamp.sec + stamp.nanosec * 1e-9 for stamp in own]

    client.wait_for(lambda: len(stamps()) > 4, what='five reports')
    assert np.median(np.diff(stamps())) == pytest.approx(1.0, abs=0.25)


def test_without_a_clock_the_refusal_says_so(suite) -> None:
    suite.start_camera()
    suite.start('affordance_node', {'model.name': 'fake', 'use_sim_time': True, 'run.wait_image_s': 1.0})
    suite.client.wait_active('/affordance_node')
    told: list = []

    def refused() -> bool:
        told.append(suite.client.call(srv.QueryAffordance, '/affordance_node/query', query='x').outcome)
        return told[-1].code == Code.STALE

    suite.client.wait_for(refused, what='the refusal')
    assert '/clock' in told[-1].message
