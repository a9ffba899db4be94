# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated camera tells the truth, and what is drawn is drawn only for who listens."""

import json
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import String  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.camera_messages import depth_from_message, rgb_from_message  # noqa: E402
from affordance_ros.datasets.scene_views import canonical_point  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402
from affordance_ros.nodes import conversions as convert  # noqa: E402
from affordance_ros.scenes import sample_scene  # noqa: E402

pytestmark = pytest.mark.ros
SEED, MUST_HAVE = 5, ('red', 'mug')
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope='module')
def scene_suite(module_suite):
    """A simulated camera and the whole suite, targets in the table frame."""
    module_suite.start('scene_node', {'scene.seed': SEED, 'scene.must_have': ' '.join(MUST_HAVE)})
    module_suite.start('affordance_node', {'model.name': 'fake', 'tf.target_frame': 'table', 'tf.timeout_s': 1.0})
    module_suite.start('target_node')
    module_suite.start('overlay_node')
    module_suite.client.wait_active('/scene_node', '/affordance_node', '/target_node', '/overlay_node')
    return module_suite


@pytest.fixture(scope='module')
def handle():
    scene = sample_scene(SEED, must_have=MUST_HAVE)
    view = scene.render()
    part = scene.find('grasp the red mug by its handle')
    return scene, view, scene.truth(view, part.id)


def ask(suite, handle):
    u, v = canonical_point(handle[2].mask)
    return suite.client.call(
        srv.GetGraspTargets, '/target_node/get_grasp_targets', query=f'point at {u:.0f},{v:.0f}', timeout_s=10.0
    ).targets


def test_the_target_lies_on_the_asked_part(scene_suite, handle) -> None:
    scene, _, truth = handle
    targets = ask(scene_suite, handle)
    assert targets.outcome.code == Code.OK, targets.outcome.message
    assert targets.header.frame_id == 'table'
    contact = convert.contact_from(targets.targets[0].contact)
    pose = np.asarray(scene.table_from_camera)
    assert truth.distance_m(pose[:3, :3].T @ (np.asarray(contact.point) - pose[:3, 3])) < 0.010


def test_the_camera_shows_the_scene_and_its_truth(scene_suite, handle) -> None:
    client, (_, view, truth) = scene_suite.client, handle
    images, depths = client.listen(Image, '/image'), client.listen(Image, '/depth/image')
    told = client.listen(String, '/scene_node/truth', LATCHED)
    start = time.monotonic()
    client.wait_for(lambda: len(images) >= 20 and len(depths) >= 20 and told, what='images')
    assert 20 / (time.monotonic() - start) > 5  # 10 Hz, on a machine that may be busy
    np.testing.assert_array_equal(rgb_from_message(images[0]), view.frame.rgb)
    assert depths[0].encoding == '16UC1'
    depth = depth_from_message(depths[0])
    off = np.abs(depth - view.frame.depth)[truth.mask & np.isfinite(depth)]
    assert np.median(off) < 0.01
    part = next(entry for entry in json.loads(told[0].data)['parts'] if entry['pixels'] == int(truth.mask.sum()))
    assert (part['object'], part['part']) == ('mug', 'handle')
    np.testing.assert_allclose(part['middle_m'], truth.points.mean(axis=0), atol=1e-6)
    assert any(not np.array_equal(depths[0].data, other.data) for other in depths[1:])  # noisy anew


def subscribed(client) -> set[str]:
    """Return what the overlay subscribes to."""
    found = client.node.get_subscriber_names_and_types_by_node('overlay_node', '/')
    return {name for name, _ in found if name != '/parameter_events'}


def test_nothing_is_read_while_nobody_looks(scene_suite, handle) -> None:
    client = scene_suite.client
    assert subscribed(client) == set()
    markers = client.listen(MarkerArray, '/overlay_node/markers')
    wanted = {'/target_node/grasp_targets', '/target_node/trajectory'}
    client.wait_for(lambda: subscribed(client) == wanted, what='subscriptions for the markers alone')
    client.wait_for(lambda: ask(scene_suite, handle) and markers, what='markers')
    client.forget(markers)
    client.wait_for(lambda: subscribed(client) == set(), what='the end of the subscriptions')


def test_markers_and_debug_image(scene_suite, handle) -> None:
    client = scene_suite.client
    markers = client.listen(MarkerArray, '/overlay_node/markers')
    images = client.listen(Image, '/overlay_node/debug_image')
    client.wait_for(lambda: '/image' in subscribed(client), what='the subscription of the image')
    client.wait_for(lambda: ask(scene_suite, handle) and markers and images, what='drawings')
    array = markers[-1].markers
    assert array[0].action == Marker.DELETEALL
    assert sum(item.action == Marker.DELETEALL for item in array) == 1
    assert {item.ns for item in array[1:]} >= {'contacts', 'normals', 'grippers', 'labels'}
    keys = [(item.ns, item.id) for item in array[1:]]
    assert len(set(keys)) == len(keys)
    assert all(item.header.frame_id == 'table' for item in array)
    drawn = rgb_from_message(images[-1])
    assert drawn.shape == (480, 640, 3)
    assert (drawn != handle[1].frame.rgb).any(axis=2).sum() > 100


def test_a_refusal_is_shown_with_its_reason(scene_suite) -> None:
    client = scene_suite.client
    markers = client.listen(MarkerArray, '/overlay_node/markers')
    name = '/target_node/get_grasp_targets'

    def shown() -> list:
        client.call(srv.GetGraspTargets, name, query='nothing', timeout_s=10.0)
        return [item for item in markers[-1].markers if item.ns == 'refused'] if markers else []

    (marker,) = client.wait_for(shown, what='the refusal')
    assert 'EMPTY_MODEL_OUTPUT' in marker.text
    assert 'nothing' in marker.text
    assert markers[-1].markers[0].action == Marker.DELETEALL
    assert not [item for item in markers[-1].markers if item.ns == 'grippers']  # of the answer before
