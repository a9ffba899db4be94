# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers as tables on the console."""

from collections.abc import Mapping

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from affordance_ros.geometry.transforms import quaternion_from_matrix
from affordance_ros.pipeline import Answer
from affordance_ros.report import numbers, width_text


def print_answer(console: Console, answer: Answer, errors_mm: tuple[float, ...] = ()) -> None:
    """Print targets and refusals. errors_mm: distance of each target's contact to the asked part's true surface."""
    if answer.targets:
        console.print(_targets(answer, errors_mm))
    elif answer.prediction.keypoints is not None and len(answer.prediction.keypoints):
        pixels = ', '.join(f'({u:.0f}, {v:.0f})' for u, v in answer.prediction.keypoints.points)
        console.print(f'points in the image, pixels: {pixels}', highlight=False)
    if answer.abstentions:
        console.print(_abstentions(answer))


def print_times(console: Console, seconds: Mapping[str, float]) -> None:
    """Print the wall time of each stage on one line."""
    text = ' · '.join(f'{name} {1000 * value:.0f} ms' for name, value in seconds.items())
    if text:
        console.print(Text(f'time: {text}', style='dim'))


def _targets(answer: Answer, errors_mm: tuple[float, ...]) -> Table:
    frame = answer.frame
    name = (frame.target_frame if frame.target_from_camera is not None else frame.frame_id) or 'camera'
    known = np.eye(4) if frame.target_from_camera is None else np.asarray(frame.target_from_camera)
    table = Table(title=f'grasp targets in frame {name}, best first', title_justify='left', show_lines=True)
    for head in (
        '',
        'grasp TCP, m',
        'xyzw',
        'contact, m',
        'normal',
        'width',
        'score',
        *(('error',) if errors_mm else ()),
    ):
        table.add_column(head, no_wrap=head in ('', 'width', 'score', 'error'))
    for index, target in enumerate(answer.targets):
        pose = known @ np.asarray(target.grasp)
        point = known[:3, :3] @ target.contact.point + known[:3, 3]
        cells = [
            str(index + 1),
            numbers(pose[:3, 3]),
            numbers(quaternion_from_matrix(pose[:3, :3]), 2),
            numbers(point),
            numbers(known[:3, :3] @ target.contact.normal, 2),
            width_text(target),
            f'{target.score:.2f}',
        ]
        cells += [f'{errors_mm[index]:.1f} mm'] if errors_mm else []
        table.add_row(*cells)
    return table


def _abstentions(answer: Answer) -> Table:
    table = Table(title='refused', title_justify='left')
    for head in ('code', 'pixel', 'why'):
        table.add_column(head)
    for item in answer.abstentions:
        pixel = f'({item.pixel[0]:.0f}, {item.pixel[1]:.0f})' if np.isfinite(item.pixel).all() else ''
        table.add_row(item.code.name, pixel, item.message)
    return table
