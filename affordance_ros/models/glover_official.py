# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the official GLOVER program prints and draws, for comparisons only. Behaviour of TeleeMa/GLOVER at 0971cce."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.models.parts.added_tokens import AddedTokenTokenizer
from affordance_ros.models.parts.tokenizer import IMAGE_ID


def official_text(tokenizer: AddedTokenTokenizer, sequence: Sequence[int]) -> str:
    """Return what infer.py prints for prompt and answer: no image, no newlines, pairs of blanks made one."""
    text = tokenizer.decode([token for token in sequence if token != IMAGE_ID])
    return text.replace('\n', '').replace('  ', ' ')


def official_overlay(rgb: npt.NDArray[np.uint8], probabilities: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the picture that infer.py saves, RGB: half the image, half the map from black over red to white.

    The official division by zero for a constant map gives black here.
    """
    values = np.asarray(probabilities)
    spread = float(values.max() - values.min())
    scaled = (values - values.min()) / spread if spread else np.zeros_like(values)
    colors = cv2.applyColorMap((scaled * 255).astype(np.uint8), cv2.COLORMAP_HOT)[..., ::-1]
    return np.asarray(cv2.addWeighted(rgb, 0.5, np.ascontiguousarray(colors), 0.5, 0), np.uint8)
