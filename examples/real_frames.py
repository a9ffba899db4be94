#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Take hold of pixels of a recorded RGB-D frame and draw what comes of it, over the image and in 3D.

real_frames.py RGB.png DEPTH.png --intrinsics 612.9,613.2,322.5,248.2 --pick "handle of the mug=342,240" --out out

Writes overlay.png with every pick, one view_N.png from beside the camera for each, and answers.json. Depth as for
`affordance predict`: 16-bit millimetres (or --depth-scale), registered to the image. --put gives a place to put down.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from affordance_ros.answer_json import answer_to_json, outcome
from affordance_ros.frame_files import FrameFiles, read_frame
from affordance_ros.geometry.depth import NOISE_PRESETS
from affordance_ros.grasping.gripper import gripper_preset
from affordance_ros.page import png
from affordance_ros.pipeline import Answer, PipelineSettings, lift_and_grasp
from affordance_ros.results import Frame, Keypoints, Prediction, Query
from affordance_ros.view_3d import ViewSettings, draw_view_3d
from affordance_ros.visualization import draw_overlay

CLOSE = ViewSettings(width=720, height=540, yaw_deg=42, pitch_deg=2, distance=0.55, reach_m=0.4)


def asked(frame: Frame, pick: str, settings: PipelineSettings, task: str) -> Answer:
    """Return what comes of one pick, 'NAME=U,V'."""
    name, _, pixel = pick.rpartition('=')
    u, v = (float(value) for value in pixel.split(','))
    query = Query(text=name or f'pixel {pixel}', task=task)
    points = Keypoints(np.array([[u, v]]), labels=(name,))
    return lift_and_grasp(frame, Prediction('a finger', query, keypoints=points), settings)


def told(answer: Answer) -> str:
    """Return one line about an answer."""
    text = f'{answer.prediction.query.sentence}: {outcome(answer)}'
    for target in answer.targets[:1]:
        bound = 'at least ' if target.width_is_lower_bound else ''
        wide = f'{bound}{1000 * target.width_m:.0f} mm wide, ' if target.width_m else ''
        text += f', score {target.score:.2f}, {wide}{target.gripper}'
    for place in answer.places[:1]:
        text += f', score {place.score:.2f}, {1000 * place.room_m:.0f} mm beside it'
    return text + ''.join(f': {item.message}' for item in answer.abstentions[:1])


def together(frame: Frame, answers: list[Answer]) -> Answer:
    """Return one answer that holds the best of all, for one picture."""
    points = np.concatenate([np.asarray(answer.prediction.keypoints.points) for answer in answers])
    labels = tuple(answer.prediction.query.sentence for answer in answers)
    prediction = Prediction('a finger', Query(text='what was picked'), keypoints=Keypoints(points, labels=labels))
    return Answer(
        frame,
        prediction,
        tuple(contact for answer in answers for contact in answer.contacts),
        tuple(target for answer in answers for target in answer.targets[:1]),
        tuple(item for answer in answers for item in answer.abstentions),
        {},
        tuple(place for answer in answers for place in answer.places[:1]),
    )


def main(arguments: list[str] | None = None) -> list[Answer]:
    """Answer every pick, print a line for each and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('rgb', type=Path)
    parser.add_argument('depth', type=Path)
    parser.add_argument('--intrinsics', required=True, help='fx,fy,cx,cy or a file')
    parser.add_argument('--depth-scale', type=float, default=0.0, help='metres per unit; 0: by the type of the file')
    parser.add_argument('--pick', action='append', default=[], help="'NAME=U,V': take hold here; may be repeated")
    parser.add_argument('--put', action='append', default=[], help="'NAME=U,V': put something down here")
    parser.add_argument('--gripper', default='generic')
    parser.add_argument('--noise', default='realsense_d435', choices=sorted(NOISE_PRESETS))
    parser.add_argument('--out', type=Path, default=Path('out'))
    given = parser.parse_args(arguments)
    frame = read_frame(FrameFiles(given.rgb, given.depth, given.intrinsics, given.depth_scale))
    settings = PipelineSettings(gripper=gripper_preset(given.gripper))
    settings = replace(settings, lift=replace(settings.lift, noise=NOISE_PRESETS[given.noise]))
    answers = [asked(frame, pick, settings, 'grasp') for pick in given.pick]
    answers += [asked(frame, pick, settings, 'place') for pick in given.put]
    given.out.mkdir(parents=True, exist_ok=True)
    for index, answer in enumerate(answers):
        print(told(answer))
        (given.out / f'view_{index}.png').write_bytes(png(draw_view_3d(answer, CLOSE)))
    (given.out / 'overlay.png').write_bytes(png(draw_overlay(together(frame, answers))))
    records = [answer_to_json(answer) for answer in answers]
    (given.out / 'answers.json').write_text(json.dumps(records, indent=2, allow_nan=False) + '\n')
    return answers


if __name__ == '__main__':
    main()
