# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ask a model about a picture from Python: predict_image.py IMAGE "SENTENCE" [MODEL] [OUT.png]."""

import sys
from pathlib import Path

from affordance_ros.frame_files import FrameFiles, read_frame
from affordance_ros.models import load_model
from affordance_ros.page import png
from affordance_ros.pipeline import Answer
from affordance_ros.results import Query
from affordance_ros.visualization import draw_overlay


def main(image: str, sentence: str, name: str = 'robopoint', out: str = 'overlay.png') -> None:
    """Print the points and write the picture with them."""
    frame = read_frame(FrameFiles(Path(image)))
    model = load_model(name, checkpoint='pocket')
    prediction = model.predict(frame, Query(text=sentence))
    if prediction.keypoints is not None:
        for u, v in prediction.keypoints.points:
            print(f'({u:.1f}, {v:.1f})')
    # With depth and intrinsics in the frame, affordance_ros.pipeline.run(model, frame, query) gives grasp targets too.
    answer = Answer(frame, prediction, (), (), (), prediction.seconds)
    Path(out).write_bytes(png(draw_overlay(answer)))


if __name__ == '__main__':
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
