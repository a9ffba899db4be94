# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers as tables on the console."""

from collections.abc import Iterable, Mapping

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from affordance_ros.geometry.transforms import quaternion_from_matrix
from affordance_ros.pipeline import Answer
from affordance_ros.report import numbers, width_text
from affordance_ros.results import FloatArray, HandTrajectory, Prediction

MOST_TARGETS = 2


def print_answer(console: Console, answer: Answer, errors_mm: tuple[float, ...] = ()) -> None:
    """Print targets and refusals. errors_mm: distance of each target's contact to the asked part's true surface."""
    if answer.targets:
        console.print(_targets(answer, errors_mm))
    elif answer.places:
        console.print(_places(answer))
    else:
        for line in _image_lines(answer.prediction):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
    for hand in answer.prediction.hands or ():
        console.print(_hand_line(hand), highlight=False, soft_wrap=True)
    if answer.abstentions:
        console.print(_abstentions(answer))


def print_times(console: Console, seconds: Mapping[str, float]) -> None:
    """Print the wall time of each stage on one line."""
    text = ' · '.join(f'{name} {1000 * value:.0f} ms' for name, value in seconds.items())
    if text:
        console.print(Text(f'time: {text}', style='dim'))


def _image_lines(prediction: Prediction) -> list[str]:
    """Return what an answer names in the image, one line per kind: for pictures without depth."""
    lines = []
    if prediction.keypoints is not None and len(prediction.keypoints):
        lines.append(f'points in the image, pixels: {_pixels(prediction.keypoints.points)}')
    if prediction.boxes is not None and len(prediction.boxes):
        names = prediction.boxes.labels or ('',) * len(prediction.boxes)
        boxes = ', '.join(
            f'{_pixels([box[:2]])} to {_pixels([box[2:]])} {name}'.strip()
            for box, name in zip(prediction.boxes.boxes, names, strict=True)
        )
        lines.append(f'boxes in the image, pixels: {boxes}')
    return lines + [f'path in the image, pixels: {_pixels(trace.points)}' for trace in prediction.traces or ()]


def _pixels(points: Iterable[FloatArray]) -> str:
    return ', '.join(f'({u:.0f}, {v:.0f})' for u, v in points)


def _hand_line(hand: HandTrajectory) -> str:
    """Return 'right hand, pixels: (12, 34) at 0.25 s, ...', with the spread of samples where there is one."""
    steps = []
    for (u, v), time_s, spread in zip(hand.points, hand.times_s, np.asarray(hand.spread_px), strict=True):
        apart = f' +-{spread:.0f}' if np.isfinite(spread) else ''
        steps.append(f'({u:.0f}, {v:.0f}){apart} at {time_s:.2f} s')
    return f'{hand.side} hand, pixels: {", ".join(steps)}'


def _targets(answer: Answer, errors_mm: tuple[float, ...]) -> Table:
    """One column per target, best first: it fits a console of 80 characters."""
    name, known = _shown_frame(answer)
    shown = answer.targets[:MOST_TARGETS]
    more = f', {len(answer.targets) - len(shown)} more in answer.json' if len(answer.targets) > len(shown) else ''
    table = Table(title=f'grasp targets in frame {name}, best first{more}', title_justify='left')
    table.add_column('')
    for index in range(len(shown)):
        table.add_column(str(index + 1), no_wrap=True)
    poses = [known @ np.asarray(target.grasp) for target in shown]
    points = [known[:3, :3] @ target.contact.point + known[:3, 3] for target in shown]
    normals = [known[:3, :3] @ target.contact.normal for target in shown]
    table.add_row('grasp TCP, m', *(numbers(pose[:3, 3]) for pose in poses))
    table.add_row('  xyzw', *(numbers(quaternion_from_matrix(pose[:3, :3]), 2) for pose in poses))
    table.add_row('contact, m', *(numbers(point) for point in points))
    table.add_row('  normal', *(numbers(normal, 2) for normal in normals))
    if all(target.wrist is not None for target in shown):
        wrists = [known @ np.asarray(target.wrist) for target in shown]
        table.add_row(f'{shown[0].wrist_frame}, m', *(numbers(pose[:3, 3]) for pose in wrists))
    table.add_row('width', *(width_text(target) for target in shown))
    table.add_row('score', *(f'{target.score:.2f}' for target in shown))
    if errors_mm:
        table.add_row('error to truth', *(f'{error:.1f} mm' for error in errors_mm[:MOST_TARGETS]))
    return table


def _shown_frame(answer: Answer) -> tuple[str, FloatArray]:
    """Return the frame that poses are shown in and its pose of the camera (4, 4)."""
    frame = answer.frame
    if frame.target_from_camera is None:
        return frame.frame_id or 'camera', np.eye(4)
    return frame.target_frame or frame.frame_id or 'camera', np.asarray(frame.target_from_camera)


def _places(answer: Answer) -> Table:
    name, known = _shown_frame(answer)
    table = Table(title=f'free places in frame {name}, best first', title_justify='left')
    for head in ('', 'position, m', 'normal', 'patch', 'room', 'score'):
        table.add_column(head)
    for index, place in enumerate(answer.places):
        pose = known @ np.asarray(place.pose)
        sizes = (f'{2000 * place.radius_m:.0f} mm', f'{1000 * place.room_m:.0f} mm', f'{place.score:.2f}')
        table.add_row(str(index + 1), numbers(pose[:3, 3]), numbers(pose[:3, 2], 2), *sizes)
    return table


def _abstentions(answer: Answer) -> Table:
    table = Table(title='refused', title_justify='left')
    for head in ('code', 'pixel', 'why'):
        table.add_column(head)
    for item in answer.abstentions:
        pixel = f'({item.pixel[0]:.0f}, {item.pixel[1]:.0f})' if np.isfinite(item.pixel).all() else ''
        table.add_row(item.code.name, pixel, item.message)
    return table
