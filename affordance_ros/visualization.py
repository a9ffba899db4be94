# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw any answer on its image: what the model said, the contacts, the grasps and what was refused.

The 3D view is in `view_3d.py`; it shares the colours and the text with this file.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from affordance_ros.drawing import Canvas, Color, arrow_head, darken, dot, line, ring, text_width, wrap, write
from affordance_ros.geometry.camera import project
from affordance_ros.outlines import gripper_segments, place_segments
from affordance_ros.results import (
    Boxes,
    FloatArray,
    HandTrajectory,
    Heatmap,
    Intrinsics,
    Keypoints,
    Masks,
    Prediction,
)

if TYPE_CHECKING:
    from affordance_ros.pipeline import Answer

KEYPOINT: Color = (255, 200, 0)
BOX: Color = (90, 170, 255)
TRACE: Color = (255, 120, 230)
LEFT_HAND: Color = (120, 220, 255)
RIGHT_HAND: Color = (255, 150, 90)
CONTACT: Color = (255, 255, 255)
NORMAL: Color = (0, 225, 255)
GRASP: Color = (170, 255, 60)
OTHER_GRASP: Color = (150, 190, 90)
PLACE: Color = (120, 235, 255)
ABSTAINED: Color = (255, 70, 60)
MASKS: tuple[Color, ...] = ((255, 90, 200), (120, 120, 255), (90, 230, 200), (255, 190, 60), (180, 255, 90))
NORMAL_M = 0.05


def draw_overlay(answer: 'Answer') -> Canvas:
    """Draw an answer on a copy of its image: uint8 RGB (H, W, 3) of the same size."""
    canvas = answer.frame.rgb.copy()
    scale = _scale(canvas)
    legend = _draw_prediction(canvas, answer.prediction, scale)
    legend += _draw_geometry(canvas, answer, scale)
    text, tint = summary(answer)
    _banner(canvas, answer.prediction.query.sentence, text, tint)
    _legend(canvas, legend)
    return canvas


def summary(answer: 'Answer') -> tuple[str, Color]:
    """Return one short line on how the query ended, and its colour."""
    if answer.targets:
        best = answer.targets[0]
        more = f', {len(answer.targets) - 1} more' if len(answer.targets) > 1 else ''
        if best.width_m == 0:
            return f'suction: score {best.score:.2f}{more}', GRASP
        bound = '>' if best.width_is_lower_bound else ''
        return f'grasp: score {best.score:.2f}, width {bound}{best.width_m * 1000:.0f} mm{more}', GRASP
    if answer.places:
        place = answer.places[0]
        return f'place: score {place.score:.2f}, {place.room_m * 1000:.0f} mm beside it', PLACE
    if answer.prediction.in_words:
        return f'answer: {answer.prediction.text[:60]}', KEYPOINT
    if answer.abstentions:
        return f'no grasp: {answer.abstentions[0].code.name}', ABSTAINED
    points = answer.prediction.keypoints
    if answer.frame.depth is None and points is not None and len(points):
        return f'{len(points)} point{"s" if len(points) > 1 else ""} (no depth: in the image only)', KEYPOINT
    if answer.prediction.hands:
        return _said_hands(answer.prediction.hands), RIGHT_HAND
    return 'no grasp: nothing was found', ABSTAINED


def _said_hands(hands: Sequence[HandTrajectory]) -> str:
    """Return how far the hand paths look ahead, and whether anybody judged that the hands are there."""
    sides = ' and '.join(hand.side for hand in hands)
    ahead = max((float(hand.times_s[-1]) for hand in hands if len(hand)), default=0.0)
    judged = '' if all(hand.present is not None for hand in hands) else ', presence not judged'
    return f'{sides} hand, next {ahead:.2g} s{judged}'


def _scale(canvas: Canvas) -> float:
    height, width = canvas.shape[:2]
    return float(np.clip(min(height / 480, width / 640), 0.5, 4))


def _text_size(canvas: Canvas) -> int:
    return max(9, round(15 * _scale(canvas)))


def _draw_prediction(canvas: Canvas, prediction: Prediction, scale: float) -> list[tuple[str, Color]]:
    legend: list[tuple[str, Color]] = []
    if prediction.heatmap is not None:
        _draw_heatmap(canvas, prediction.heatmap)
        legend.append(('heatmap', (230, 60, 20)))
    if prediction.masks is not None and len(prediction.masks):
        _draw_masks(canvas, prediction.masks, scale)
        legend.append(('mask', MASKS[0]))
    if prediction.boxes is not None and len(prediction.boxes):
        _draw_boxes(canvas, prediction.boxes, scale)
        legend.append(('box', BOX))
    paths = [(trace.points, TRACE, 'trace', trace.label) for trace in prediction.traces or ()]
    for hand in prediction.hands or ():
        color = LEFT_HAND if hand.side == 'left' else RIGHT_HAND
        _draw_steps(canvas, hand, color, scale)
        paths.append((hand.points, color, f'{hand.side} hand', hand.side))
    for points, color, kind, label in paths:
        _draw_path(canvas, points, color, scale)
        if label and len(points):
            write(canvas, label, (points[0][0] + 6 * scale, points[0][1]), color, _text_size(canvas))
        legend.append((kind, color))
    if prediction.keypoints is not None and len(prediction.keypoints):
        _draw_keypoints(canvas, prediction.keypoints, scale)
        legend.append(('keypoint', KEYPOINT))
    return list(dict.fromkeys(legend))


def _draw_heatmap(canvas: Canvas, heatmap: Heatmap) -> None:
    values = np.asarray(heatmap.values, np.float32)
    colors = cv2.applyColorMap((values * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    opacity = np.clip(values * 1.2, 0, 0.65)[..., None]
    canvas[:] = (canvas * (1 - opacity) + colors * opacity).astype(np.uint8)


def _draw_masks(canvas: Canvas, masks: Masks, scale: float) -> None:
    for index, mask in enumerate(masks.masks):
        color = MASKS[index % len(MASKS)]
        canvas[mask] = (canvas[mask] * 0.55 + np.array(color) * 0.45).astype(np.uint8)
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, outlines, -1, color, max(1, round(1.5 * scale)), cv2.LINE_AA)


def _draw_boxes(canvas: Canvas, boxes: Boxes, scale: float) -> None:
    for (x0, y0, x1, y1), label, score in zip(boxes.boxes, boxes.labels, np.asarray(boxes.scores), strict=True):
        corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            line(canvas, (start, end), BOX, max(2.0, 2 * scale))
        text = ' '.join(part for part in (label, f'{score:.2f}' if np.isfinite(score) else '') if part)
        if text:
            write(canvas, text, (x0 + 2, y0 - 10 * scale), BOX, _text_size(canvas))


def _draw_steps(canvas: Canvas, hand: HandTrajectory, color: Color, scale: float) -> None:
    """Draw the steps of a hand path, each within the circle in which its samples lie."""
    for point, spread in zip(hand.points, np.asarray(hand.spread_px), strict=True):
        dot(canvas, point, 3 * scale, color)
        if np.isfinite(spread):
            ring(canvas, point, spread, color, scale)


def _draw_path(canvas: Canvas, points: FloatArray, color: Color, scale: float) -> None:
    steps = max(1, len(points) - 1)
    for index, ends in enumerate(zip(points[:-1], points[1:], strict=True)):
        fade = 0.45 + 0.55 * (index + 1) / steps
        shade: Color = (int(color[0] * fade), int(color[1] * fade), int(color[2] * fade))
        line(canvas, ends, shade, 2.5 * scale)
    if len(points) > 1:
        arrow_head(canvas, points[-2], points[-1], color, 9 * scale)
    if len(points):
        dot(canvas, points[0], 4 * scale, color)


def _draw_keypoints(canvas: Canvas, keypoints: Keypoints, scale: float) -> None:
    for index, point in reversed(list(enumerate(keypoints.points))):
        dot(canvas, point, 8 * scale, (20, 20, 20))
        dot(canvas, point, 6.5 * scale, KEYPOINT if index == 0 else (200, 160, 40))
        if len(keypoints) > 1:
            write(canvas, str(index + 1), (point[0] + 9 * scale, point[1] + 9 * scale), KEYPOINT, _text_size(canvas))


def _draw_geometry(canvas: Canvas, answer: 'Answer', scale: float) -> list[tuple[str, Color]]:
    frame = answer.frame
    legend: list[tuple[str, Color]] = []
    if frame.intrinsics is not None:
        # The best of every contact stands out from its alternatives.
        best = {target.contact.pixel: target for target in reversed(answer.targets)}
        others = [target for target in answer.targets if best[target.contact.pixel] is not target]
        outlines: list[tuple[FloatArray, Color | None]] = [(gripper_segments(target), None) for target in others]
        outlines += [(gripper_segments(target), GRASP) for target in best.values()]
        outlines += [(place_segments(place), PLACE) for place in answer.places]
        for lines, color in outlines:
            _draw_lines(canvas, project(lines.reshape(-1, 3), frame.intrinsics), scale, color)
        legend += [('grasp', GRASP)] if answer.targets else []
        legend += [('place', PLACE)] if answer.places else []
        for contact in answer.contacts:
            _draw_normal(
                canvas, frame.intrinsics, np.stack((contact.point, contact.point + NORMAL_M * contact.normal)), scale
            )
        legend += [('contact', CONTACT), ('normal', NORMAL)] if answer.contacts else []
    for abstention in answer.abstentions:
        center = np.array(abstention.pixel)
        if np.isfinite(center).all():
            _cross(canvas, center, scale)
            write(canvas, abstention.code.name, (center[0] + 11 * scale, center[1]), ABSTAINED, _text_size(canvas))
    if answer.abstentions:
        legend.append(('refused', ABSTAINED))
    return legend


def _cross(canvas: Canvas, center: FloatArray, scale: float) -> None:
    arms = np.array([((-1, -1), (1, 1)), ((-1, 1), (1, -1))]) * 7 * scale
    for color, width in (((20, 20, 20), 4.5), (ABSTAINED, 2.5)):
        for arm in arms:
            line(canvas, center + arm, color, width * scale)


def _draw_lines(canvas: Canvas, pixels: FloatArray, scale: float, best: Color | None) -> None:
    """Draw the outline of a hand or a place, pixels (2N, 2): in its colour with a dark border, or faintly (None)."""
    passes = (((20, 20, 20), 5.0), (best, 3.0)) if best else ((OTHER_GRASP, 1.4),)
    for color, width in passes:
        for ends in pixels.reshape(-1, 2, 2):
            line(canvas, ends, color, width * scale)


def _draw_normal(canvas: Canvas, intrinsics: Intrinsics, ends: FloatArray, scale: float) -> None:
    start, tip = project(ends, intrinsics)
    line(canvas, (start, tip), (20, 20, 20), 4 * scale)
    line(canvas, (start, tip), NORMAL, 2 * scale)
    arrow_head(canvas, start, tip, NORMAL, 7 * scale)
    dot(canvas, start, 4 * scale, (20, 20, 20))
    dot(canvas, start, 2.8 * scale, CONTACT)


def _banner(canvas: Canvas, sentence: str, result: str, tint: Color) -> None:
    size = _text_size(canvas)
    width = canvas.shape[1]
    rows = wrap(sentence, size + 2, width - 2 * size, 2)
    step = round(1.5 * size)
    at_right = width - text_width(result, size) - size * 0.7
    beside = len(rows) == 1 and text_width(rows[0], size + 2) + 2 * size < at_right
    lines = len(rows) if beside else len(rows) + 1
    darken(canvas, 0, step * lines + size // 2)
    for index, row in enumerate(rows):
        write(canvas, row, (size * 0.7, step * (index + 0.7)), (255, 255, 255), size + 2)
    at = (at_right, step * 0.7) if beside else (size * 0.7, step * (len(rows) + 0.7))
    write(canvas, result, at, tint, size)


def _legend(canvas: Canvas, entries: list[tuple[str, Color]]) -> None:
    if not entries:
        return
    size = max(9, _text_size(canvas) - 2)
    height = canvas.shape[0]
    rows: list[list[tuple[str, Color, int]]] = [[]]
    left = size
    for text, color in entries:
        wide = text_width(text, size) + round(2.6 * size)
        if rows[-1] and left + wide > canvas.shape[1]:
            rows.append([])
            left = size
        rows[-1].append((text, color, left))
        left += wide
    step = round(1.7 * size)
    darken(canvas, height - step * len(rows), height)
    for index, row in enumerate(rows):
        middle = height - step * (len(rows) - index - 0.5)
        for text, color, at in row:
            dot(canvas, (at + size * 0.2, middle), size * 0.36, color)
            write(canvas, text, (at + size * 0.85, middle), (235, 235, 235), size)
