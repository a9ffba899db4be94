# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures that the authors of the models published, to print beside measured ones; each with its source."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedTable:
    """source: where the figures are from. caveats: what to know before comparing. rows: figures by model and task."""

    source: str
    caveats: tuple[str, ...]
    rows: Mapping[str, Mapping[str, float]]


_ROBOINTER_COLUMNS = (
    'current_box', 'contact_box', 'final_box', 'gripper_det', 'grasppose_choice', 'grounding_choice', 'contact_decide',
    'traj', 'planning', 'planning_choice', 'planning_decide',
)  # fmt: skip


def _row(*values: float) -> dict[str, float]:
    return dict(zip(_ROBOINTER_COLUMNS, values, strict=True))


ROBOINTER_VQA = PublishedTable(
    'InternRobotics/RoboInter at 481acfb, asset/VLM_table.png',
    (
        'boxes: per cent with an IoU above 0.1; choices and decisions: per cent right; planning: 100 times the mean of '
        'BLEU-1 to 4; traj: DTW in pixels',
        'the table does not say which of the two files of traces its DTW is of',
        'official scoring: an empty choice is right, perfect and empty traces are left out; the Qwen '
        'scripts leave the question in the answer, so its numbers and letters are scored too',
    ),
    {
        'RoboInter-LlavaOV-7B': _row(82.9, 46.3, 55.1, 70.1, 74.1, 79.7, 76.3, 299, 62.7, 81.8, 83.9),
        'RoboInter-Qwen-7B': _row(75.1, 37.8, 56.9, 62.0, 76.1, 75.7, 75.6, 323, 63.4, 86.5, 93.0),
        'RoboInter-Qwen-3B': _row(76.1, 34.9, 52.7, 61.6, 74.0, 73.4, 75.2, 332, 61.2, 82.2, 88.7),
        'QwenVL2.5-7B': _row(51.2, 14.7, 38.2, 10.2, 27.3, 25.7, 52.5, 1702, 22.4, 64.5, 60.5),
        'QwenVL2.5-3B': _row(46.6, 12.2, 34.1, 6.1, 21.1, 21.9, 50.9, 2712, 20.3, 60.0, 59.7),
    },
)

WHERE2PLACE = PublishedTable(
    'RoboPoint paper, first version (arXiv 2406.10721), as transcribed by later work',
    (
        'per cent of the points in the mask, mean of three runs at temperature 0.2; RoboPoint 13B is 46.77 +- 0.45',
        'official scoring: masks as grey values, and a question whose answer stops the parser is left out of the mean',
    ),
    {
        'RoboPoint-13B': {'all': 46.77, 'unseen': 44.48},
        'GPT-4o': {'all': 29.06, 'unseen': 27.14},
        'LLaVA-NeXT-34B': {'all': 15.02, 'unseen': 14.76},
    },
)
