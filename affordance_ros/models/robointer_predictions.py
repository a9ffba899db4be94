# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The text of a RoboInter answer as the field of a prediction that its task fills, for both variants."""

from dataclasses import replace

import numpy as np

from affordance_ros.errors import UnparsableAnswer
from affordance_ros.models.parts.text_options import check_known
from affordance_ros.models.robointer_answers import (
    BY_NAME,
    Coordinates,
    Geometry,
    Task,
    read_choice,
    read_decision,
    read_geometry,
    read_text,
)
from affordance_ros.results import Boxes, Keypoints, Prediction, Query, Trace

TASK_OF_A_PLAIN_QUERY = 'contact_box'


def task_of(query: Query) -> Task:
    """Return the task that a query names. Raises BAD_INPUT for an unknown one."""
    name = query.task or TASK_OF_A_PLAIN_QUERY
    check_known('task', name, BY_NAME)
    return BY_NAME[name]


def to_prediction(prediction: Prediction, task: Task, coordinates: Coordinates, *, whole: bool) -> Prediction:
    """Return `prediction`, which holds the raw text, with the answer in its place.

    A box or points get the confidence as their score. A choice becomes its option (the letter without options), a
    decision 'yes' or 'no'. Raises UnparsableAnswer.
    """
    if task.kind == 'text':
        return replace(prediction, text=read_text(prediction.text))
    if task.kind == 'decide':
        return replace(prediction, text='yes' if read_decision(prediction.text) else 'no')
    if task.kind == 'choice':
        return replace(prediction, text=_option(prediction))
    geometry = read_geometry(prediction.text, task, coordinates, whole=whole)
    return _with_geometry(prediction, task, geometry, coordinates.size)


def _option(prediction: Prediction) -> str:
    letter, options = read_choice(prediction.text), prediction.query.options
    index = 'ABCD'.index(letter)
    if options and index >= len(options):
        raise UnparsableAnswer(prediction.text, f'the answer is {letter}, but there are only {len(options)} options')
    return options[index] if options else letter


def _with_geometry(prediction: Prediction, task: Task, geometry: Geometry, size: tuple[int, int]) -> Prediction:
    # A share of 1 is the far edge of the last pixel; our pixels have their centres at integers.
    points = np.minimum(geometry.points, np.array(size) - 1.0)
    prediction = replace(prediction, repairs=(*prediction.repairs, *geometry.repairs))
    score = np.array([prediction.confidence])
    if task.kind == 'box':
        return replace(prediction, boxes=Boxes(points.reshape(1, 4), score, (task.name,)))
    if task.kind == 'points':
        return replace(
            prediction, keypoints=Keypoints(points, np.repeat(score, len(points)), (task.name,) * len(points))
        )
    return replace(prediction, traces=(Trace(points, task.name),))
