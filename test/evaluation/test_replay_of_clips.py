# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model for clips is asked offline about the images before each frame, and about none when there are too few."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch')
from PIL import Image  # noqa: E402

from affordance_ros.bags import BagWriter, look_into  # noqa: E402
from affordance_ros.evaluation.records import RunFolder  # noqa: E402
from affordance_ros.evaluation.replay import ReplaySettings  # noqa: E402
from affordance_ros.evaluation.run import Evaluation, evaluate  # noqa: E402
from affordance_ros.evaluation.selection import FrameChoice  # noqa: E402
from affordance_ros.models import load_model  # noqa: E402
from affordance_ros.results import Frame, Intrinsics, Query  # noqa: E402

ROOT = Path(__file__).parents[1] / 'data' / 'parity' / 'handsonvlm'
CHECKPOINT = next(path.parent for path in sorted(ROOT.glob('checkpoint/*/added_tokens.json')))
QUERY = Query('Can you provide the hand trajectory for take the blue plate?')
STEP_NS = 250_000_000


@pytest.fixture(scope='module')
def frames():
    """The ten recorded images, a quarter of a second apart."""
    k = Intrinsics(600.0, 600.0, 319.5, 239.5, 640, 480)
    found = []
    for index, path in enumerate(sorted((ROOT / 'inputs' / 'clip_640x480').glob('*.png'))):
        rgb = np.array(Image.open(path).convert('RGB'))
        found.append(Frame(rgb, np.ones(rgb.shape[:2], np.float32), k, 10**9 + index * STEP_NS, 'camera'))
    return found


def test_each_frame_is_answered_with_the_clip_before_it(frames, tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        for frame in frames:
            writer.write_frame(frame)
    model = load_model('handsonvlm', checkpoint=CHECKPOINT, decode='constrained')
    settings = ReplaySettings(
        tmp_path / 'bag',
        (QUERY,),
        FrameChoice.parse('every:3'),
        look_into(tmp_path / 'bag').topics,
        overlays=False,
        views=False,
    )
    evaluate(Evaluation(settings, tmp_path / 'out'), model)
    *early, last = RunFolder(tmp_path / 'out').answers()
    assert [line['outcome'] for line in early] == ['NO_CLIP'] * 3
    hands = last['prediction']['hands']
    wanted = model.predict(frames, QUERY).hands
    assert [hand['side'] for hand in hands] == ['right', 'left']
    for hand, want in zip(hands, wanted, strict=True):
        np.testing.assert_allclose(
            hand['points_uv_px'], want.points, atol=1e-2
        )  # pixels; the second question reuses rows
        assert not any('still image' in text for text in hand['caveats'])
