# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tasks of the RoboInter-VQA benchmark, scored right; `robointer_official` has the published program's figures.

An unreadable answer is a failure here: IoU 0, a wrong choice, BLEU 0, and for traces a count beside the mean.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from affordance_ros.results import Keypoints

BOX_TASKS = ('current_box', 'contact_box', 'final_box', 'gripper_det')
POINT_TASKS = ('contact_point',)
TRACE_TASKS = ('traj', 'traj_wo_init_pos')
DECIDE_TASKS = ('contact_decide',)
CHOICE_TASKS = (
    'grasppose_choice', 'grounding_choice', 'traj_choice', 'traj_direction_choice',
    'traj_direction_choice_with_traj', 'trajlang_choice', 'trajlang_sub_choice',
)  # fmt: skip
# Kind of a planning question by the first of these names that its id holds, in this order (task_planning/eval.py).
PLANNING_NAMES = {
    'choice': ('Scene_Understanding', 'Past_Multi_task_Selection', 'Past_Primitive_Selection',
               'Future_Multi_task_Selection', 'Future_Primitive_Selection', 'Temporal_Understanding'),
    'decide': ('Success_Negative_Task', 'Success_Positive_Task', 'Discriminative_Affordance_Negative_Task',
               'Discriminative_Affordance_Positive_Task'),
    'planning': ('Planning_Task', 'Past_Description_Task', 'Planning_with_Context_Task',
                 'Planning_Remaining_Steps_Task', 'Generative_Affordance_Task', 'Future_Prediction_Task'),
}  # fmt: skip
_WORDS = re.compile(r'[^\W\d_]+')
# Box accuracies: the published threshold, and one that means something.
THRESHOLDS = (0.1, 0.5)


def planning_kind(record_id: str) -> str:
    """Return 'choice', 'decide' or 'planning' of a planning question. Raises ValueError for an unknown id."""
    for kind, names in PLANNING_NAMES.items():
        if any(name in record_id for name in names):
            return kind
    raise ValueError(f'{record_id!r} names no planning task of RoboInter-VQA')


def task_kind(task: str) -> str:
    """Return 'box', 'points', 'trace', 'choice' or 'decide' of a task of one image. Raises ValueError."""
    kinds = {
        'box': BOX_TASKS,
        'points': POINT_TASKS,
        'trace': TRACE_TASKS,
        'choice': CHOICE_TASKS,
        'decide': DECIDE_TASKS,
    }
    for kind, tasks in kinds.items():
        if task in tasks:
            return kind
    known = ', '.join(sorted(name for tasks in kinds.values() for name in tasks))
    raise ValueError(f'{task!r} is no task of RoboInter-VQA; known: {known}')


def first_decision(text: str) -> bool | None:
    """Return whether the first 'yes' or 'no' among the words of an answer is yes; None without one.

    So the benchmark is scored. The model's own reader is stricter: it refuses an answer that says both.
    """
    words = (word.lower() for word in _WORDS.findall(text.rpartition('assistant\n')[2]))
    first = next((word for word in words if word in ('yes', 'no')), None)
    return None if first is None else first == 'yes'


@dataclass(frozen=True)
class ContactPointScore:
    """errors: mean distance in pixels of the two points of every question, None for an unreadable answer."""

    errors: tuple[float | None, ...]

    @property
    def unreadable(self) -> int:
        """How many answers could not be read or do not hold two points."""
        return sum(error is None for error in self.errors)

    @property
    def mean(self) -> float:
        """Mean over the READ answers, NaN without any."""
        read = [error for error in self.errors if error is not None]
        return float(np.mean(read)) if read else float('nan')


def contact_point_error(answer: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the mean distance of two contact points to the true two, in the better of their two orders.

    Which finger is named first means nothing, so [a, b] is as right as [b, a].
    """
    points, wanted = np.asarray(answer, np.float64), np.asarray(truth, np.float64)
    if points.shape != (2, 2) or wanted.shape != (2, 2):
        raise ValueError(f'contact points must be (2, 2), got {points.shape} and {wanted.shape}')
    return min(float(np.linalg.norm(points - order, axis=1).mean()) for order in (wanted, wanted[::-1]))


def contact_point_score(answers: Sequence[Keypoints | None], truths: Sequence[npt.ArrayLike]) -> ContactPointScore:
    """Score every question; points (2, 2) in pixels, None is an unreadable answer."""
    return ContactPointScore(
        tuple(
            contact_point_error(answer.points, truth) if answer is not None and len(answer) == 2 else None
            for answer, truth in zip(answers, truths, strict=True)
        )
    )
