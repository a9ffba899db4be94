# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model for clips behind the node: a bag is replayed, and the model answers to the ten right images of it."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('torch')

from affordance_ros.action import PredictAffordance  # noqa: E402
from PIL import Image as Picture  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from affordance_ros import msg  # noqa: E402
from affordance_ros.bags import read_frames  # noqa: E402
from affordance_ros.bags.writer import BagWriter  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402
from affordance_ros.models import load_model  # noqa: E402
from affordance_ros.nodes import conversions as convert  # noqa: E402
from affordance_ros.nodes.images import camera_info_message, image_message  # noqa: E402
from affordance_ros.results import Frame, Intrinsics, Query  # noqa: E402

pytestmark = pytest.mark.ros
ROOT = Path(__file__).parents[1] / 'data' / 'parity' / 'handsonvlm'
CHECKPOINT = next(path.parent for path in sorted(ROOT.glob('checkpoint/*/added_tokens.json')))
PICTURES = sorted((ROOT / 'inputs' / 'clip_640x480').glob('*.png'))
OPTIONS = {'decode': 'constrained'}
RATE, COUNT, BEGIN_NS = 8.0, 32, 100_000_000_000
QUESTION = 'Can you provide the hand trajectory for take the blue plate?'


def frame(index: int, shown: int) -> Frame:
    """Return one frame of the bag, at its time, with one of the ten pictures."""
    rgb = np.array(Picture.open(PICTURES[shown]).convert('RGB'))
    k = Intrinsics(600.0, 600.0, 319.5, 239.5, rgb.shape[1], rgb.shape[0])
    depth = np.ones(rgb.shape[:2], np.float32)
    return Frame(rgb, depth, k, BEGIN_NS + int(index * 1e9 / RATE), 'camera_optical_frame')


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Eight images per second; every second one of the last twenty is one of the ten pictures, in order."""
    folder = tmp_path_factory.mktemp('clip') / 'bag'
    with BagWriter(folder) as writer:
        for index in range(COUNT):
            back = COUNT - 1 - index
            writer.write_frame(frame(index, max(0, 9 - back // 2) if back % 2 == 0 else 0))
    return folder


class Player:
    """Plays a bag with its own stamps and clock, as `ros2 bag play --clock` does; the clock stands still at the end."""

    def __init__(self, client, bag: Path) -> None:
        self._node, self._frames = client.node, list(read_frames(bag))
        self._clock = self._node.create_publisher(Clock, '/clock', 10)
        self._color = self._node.create_publisher(Image, '/image', 5)
        self._info = self._node.create_publisher(CameraInfo, '/camera_info', 5)
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self.played = 0

    def play(self) -> None:
        """Begin from the start."""
        self.close()
        self._end.clear()
        self.played = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        for each in self._frames:
            self._clock.publish(Clock(clock=convert.time_message(each.stamp_ns)))
            header = Header(stamp=convert.time_message(each.stamp_ns), frame_id=each.frame_id)
            self._info.publish(camera_info_message(each.intrinsics, header))
            self._color.publish(image_message(each.rgb, 'rgb8', header))
            self.played += 1
            if self._end.wait(1 / RATE):
                return
        while not self._end.wait(0.05):
            self._clock.publish(Clock(clock=convert.time_message(self._frames[-1].stamp_ns)))


@pytest.fixture(scope='module')
def replay(module_suite, bag):
    """The node with HandsOnVLM on the clock of the bag, and the player."""
    parameters = {
        'model.name': 'handsonvlm',
        'model.checkpoint': str(CHECKPOINT),
        'model.options': json.dumps(OPTIONS),
        'input.need_depth': False,
        'input.max_age_s': 1.0,
        'run.wait_image_s': 0.3,
        'use_sim_time': True,
    }
    module_suite.start('affordance_node', parameters)
    player = Player(module_suite.client, bag)
    module_suite.client.wait_active('/affordance_node')
    yield module_suite.client, player
    player.close()


def ask(client):
    return client.send(PredictAffordance, '/affordance_node/predict', query=QUESTION, timeout_s=20.0).result(40.0)


def test_a_clip_that_is_too_short_is_refused_with_the_time_to_wait(replay) -> None:
    client, player = replay
    player.play()
    client.wait_for(lambda: player.played >= 4)
    outcome = ask(client).outcome
    assert outcome.code == Code.NO_CLIP, outcome.message
    assert '10 frames at 4 Hz over 2.25 s' in outcome.message
    assert 'ask again in' in outcome.message


def test_the_ten_right_images_of_the_bag_are_answered_to(replay) -> None:
    client, player = replay
    client.wait_for(lambda: player.played == COUNT)
    time.sleep(0.3)
    result = ask(client)
    assert result.outcome.code == Code.OK, result.outcome.message
    (answer,) = result.answer.affordances
    model = load_model('handsonvlm', checkpoint=CHECKPOINT, **OPTIONS)
    stamps = [BEGIN_NS + int((COUNT - 1 - 2 * back) * 1e9 / RATE) for back in range(9, -1, -1)]
    clip = [Frame(frame(0, shown).rgb, stamp_ns=stamp) for shown, stamp in enumerate(stamps)]
    want = model.predict(clip, Query(QUESTION))
    assert [hand.side for hand in answer.hands] == [msg.HandTrajectory.RIGHT, msg.HandTrajectory.LEFT]
    for got, hand in zip(answer.hands, want.hands, strict=True):
        np.testing.assert_allclose(np.column_stack((got.u, got.v)), hand.points, atol=1e-3)
        assert list(got.times_s) == [0.25, 0.5, 0.75, 1.0]
        assert got.presence == msg.HandTrajectory.NOT_JUDGED
        assert any('not judged' in text for text in got.caveats)
        assert not any('still image' in text for text in got.caveats)
    assert convert.nanoseconds_of(result.answer.header.stamp) == stamps[-1]


def test_a_bag_that_begins_again_needs_a_new_clip(replay) -> None:
    client, player = replay
    player.play()
    client.wait_for(lambda: player.played >= 6)
    outcome = ask(client).outcome
    assert outcome.code == Code.NO_CLIP, outcome.message
    client.wait_for(lambda: player.played == COUNT)
    time.sleep(0.3)
    assert ask(client).outcome.code == Code.OK
