#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/images/grippers.png: every gripper preset with the axes of its TCP and its wrist."""

from pathlib import Path

import cv2
import numpy as np

from affordance_ros.drawing import arrow_head, dot, line, text_width, write
from affordance_ros.grasping.gripper import PRESETS, GripperSettings
from affordance_ros.page import png

OUT = Path(__file__).resolve().parent.parent / 'docs' / 'images' / 'grippers.png'
CELL_W, CELL_H, FOOT = 380, 585, 74
PX_PER_M = 1450
AXES = (('x', (200, 40, 40)), ('y', (30, 140, 40)), ('z', (40, 80, 220)))
INK, DIM, PAPER = (30, 30, 34), (110, 110, 118), (250, 250, 248)
PALM, FINGER = np.array((172, 178, 188.0)), np.array((120, 132, 150.0))
# From the side and a little above; the approach (z) points down the page.
YAW, PITCH = np.radians(-32), np.radians(16)
CORNERS = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
FACES = [[0, 1, 3, 2], [4, 5, 7, 6], [0, 1, 5, 4], [2, 3, 7, 6], [0, 2, 6, 4], [1, 3, 7, 5]]


def view() -> np.ndarray:
    """Return the rotation (3, 3) from the TCP to the picture: u right, v down, depth away from the eye."""
    c, s = np.cos(YAW), np.sin(YAW)
    about = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    upright = np.array([[0, 1.0, 0], [0, 0, 1.0], [1.0, 0, 0]])  # y right, z down, x away
    c, s = np.cos(PITCH), np.sin(PITCH)
    tipped = np.array([[1.0, 0, 0], [0, c, s], [0, -s, c]])
    return tipped @ upright @ about


def draw_gripper(hand: GripperSettings) -> np.ndarray:
    """Return the picture of one gripper, three quarters open: uint8 (CELL_H, CELL_W, 3)."""
    canvas = np.full((CELL_H, CELL_W, 3), PAPER, np.uint8)
    turn, origin = view(), np.array([CELL_W / 2, CELL_H - FOOT - 105.0])

    def pixels(points: np.ndarray) -> np.ndarray:
        return origin + (np.asarray(points) @ turn.T)[..., :2] * PX_PER_M

    faces = []
    boxes = hand.boxes(0.75 * hand.max_aperture_m)
    for index, box in enumerate(boxes):
        corners = np.array([[box[pick][axis] for axis, pick in enumerate(which)] for which in CORNERS])
        color = PALM if index == len(boxes) - 1 else FINGER
        for face in FACES:
            quad = corners[face]
            normal = np.cross(quad[1] - quad[0], quad[2] - quad[0])
            normal = turn @ (normal / np.linalg.norm(normal))
            light = 0.72 + 0.28 * abs(float(normal @ (0.25, -0.55, -0.8)))
            faces.append((float((quad @ turn.T)[:, 2].mean()), quad, color * light))
    for _, quad, color in sorted(faces, key=lambda face: -face[0]):
        flat = np.round(pixels(quad)).astype(np.int32)
        cv2.fillConvexPoly(canvas, flat, tuple(color.tolist()), cv2.LINE_AA)
        cv2.polylines(canvas, [flat], True, (88, 92, 100), 1, cv2.LINE_AA)  # noqa: FBT003
    axes(canvas, pixels, np.eye(4), 'TCP')
    axes(canvas, pixels, np.linalg.inv(hand.wrist_from_tcp), hand.wrist_frame)
    captions(canvas, hand)
    return canvas


def axes(canvas: np.ndarray, pixels: object, frame: np.ndarray, name: str) -> None:
    """Draw three named arrows of 55 mm at a frame given in the TCP."""
    start = pixels(frame[:3, 3])
    for column, (letter, color) in enumerate(AXES):
        tip = pixels(frame[:3, 3] + 0.055 * frame[:3, column])
        line(canvas, (start, tip), (255, 255, 255), 6)
        line(canvas, (start, tip), color, 3)
        arrow_head(canvas, start, tip, color, 11)
        plain(canvas, letter, tip + 13 * (tip - start) / max(np.linalg.norm(tip - start), 1), color, 17)
    dot(canvas, start, 5, INK)
    above = start + (text_width(name, 15) / 2 + 12, -28)
    plain(canvas, name, start + (-34, 42) if name == 'TCP' else above, INK, 15)


def plain(canvas: np.ndarray, text: str, at: np.ndarray, color: tuple, size: int) -> None:
    """Write dark text on the light paper: drawn on the negative, so that its outline is light."""
    negative = 255 - canvas
    write(negative, text, (at[0] - text_width(text, size) / 2, at[1]), tuple(255 - value for value in color), size)
    canvas[:] = 255 - negative


def captions(canvas: np.ndarray, hand: GripperSettings) -> None:
    """Write the name and the numbers."""
    plain(canvas, hand.name, np.array([CELL_W / 2, 24.0]), INK, 22)
    x, y, z = hand.wrist_xyz
    turned = '' if not any(hand.wrist_rpy) else f', turned {np.degrees(hand.wrist_rpy[2]):.0f} deg about z'
    first = f'opens {1000 * hand.max_aperture_m:.0f} mm' if hand.kind == 'parallel' else 'lip'
    if hand.kind == 'suction':
        first += f' {2000 * hand.cup_radius_m:.0f} mm across'
    plain(canvas, first, np.array([CELL_W / 2, CELL_H - FOOT + 14.0]), DIM, 15)
    text = f'TCP in {hand.wrist_frame}:'
    plain(canvas, text, np.array([CELL_W / 2, CELL_H - FOOT + 35.0]), DIM, 15)
    text = f'({1000 * x:.0f}, {1000 * y:.0f}, {1000 * z:.1f}) mm{turned}'
    plain(canvas, text, np.array([CELL_W / 2, CELL_H - FOOT + 56.0]), DIM, 15)


def main() -> None:
    """Draw all presets side by side."""
    picture = np.concatenate([draw_gripper(hand) for hand in PRESETS.values()], axis=1)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_bytes(png(picture))
    print(f'wrote {OUT}')


if __name__ == '__main__':
    main()
