# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Would the grasps hold? Every graspable part of many scenes is asked for and judged on the full meshes.

A grasp succeeds when the open hand and its way in touch nothing, the jaws first meet the asked part on both sides and
the contacts are antipodal within the friction cone (0.5); a cup, when all of its lip meets the asked part and gives way
enough. Refusals count as failures. A part that no random grasp on its true surface holds either (60 points, all
sides) is beyond the gripper and counted apart.
"""

import argparse
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before numpy is imported

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from affordance_ros.datasets.scene_views import canonical_point
from affordance_ros.geometry.depth import NOISE_PRESETS
from affordance_ros.grasping.gripper import gripper_preset
from affordance_ros.pipeline import PipelineSettings, lift_and_grasp
from affordance_ros.results import Frame, GraspTarget, Keypoints, Masks, Prediction, Query
from affordance_ros.scenes import SensorModel, sample_scene
from affordance_ros.scenes.grasp_judge import OK, CupShape, GraspJudge, HandShape
from affordance_ros.scenes.scene import Scene
from affordance_ros.scenes.view import PartTruth

TAKING_HOLD = {'grasp', 'pick up', 'hold', 'lift', 'open', 'unscrew', 'pull'}
PAD_M = 0.022  # length of a pad behind the fingertip


@dataclass(frozen=True)
class Options:
    """What every process needs."""

    gripper: str = 'generic'
    answer: str = 'mask'
    preset: str = 'vga'
    all_parts: bool = False
    top: int = 5


@dataclass(frozen=True)
class Outcome:
    """One question. verdicts: of the targets, best first. refusal: the code when there is none."""

    kind: str
    part: str
    depth: str
    verdicts: tuple[str, ...]
    refusal: str
    possible: bool


def hand_of(gripper: str, opening_m: float, sweep_m: float) -> HandShape:
    """Return the boxes of a preset's hand with the way in."""
    hand = gripper_preset(gripper)
    pad = (hand.finger_width_m, min(PAD_M, hand.finger_length_m))
    return HandShape(hand.boxes(opening_m, sweep_m), opening_m, pad)


def cup_of(gripper: str, sweep_m: float) -> CupShape:
    """Return the boxes of a preset's cup with the way in."""
    hand = gripper_preset(gripper)
    return CupShape(hand.boxes(0.0, sweep_m), hand.cup_radius_m, hand.cup_give_m)


def answer_for(truth: PartTruth, kind: str) -> Prediction:
    """Return what a perfect model would say: one keypoint, or the keypoint with the mask of the part."""
    masks = Masks(truth.mask[None]) if kind == 'mask' else None
    points = Keypoints(points=canonical_point(truth.mask)[None])
    return Prediction('truth', Query(text='the part'), keypoints=points, masks=masks)


def verdicts(scene: Scene, judge: GraspJudge, part_id: int, targets: list[GraspTarget]) -> tuple[str, ...]:
    """Judge targets, best first."""
    table_from_camera = np.asarray(scene.table_from_camera)
    found = []
    for target in targets:
        sweep = float(np.linalg.norm(target.grasp[:3, 3] - target.pregrasp[:3, 3]))
        pose = table_from_camera @ target.grasp
        if gripper_preset(target.gripper).kind == 'suction':
            found.append(judge.seals(pose, cup_of(target.gripper, sweep), part_id))
        else:
            found.append(judge.judge(pose, hand_of(target.gripper, target.opening_m, sweep), part_id))
    return tuple(found)


def within_reach(judge: GraspJudge, part_id: int, gripper: str, seed: int) -> bool:
    """Tell whether any of many random grasps on the true surface of a part would hold."""
    hand = gripper_preset(gripper)
    if hand.kind == 'suction':
        return judge.sealable(part_id, cup_of(gripper, 0.08), seed)
    return judge.graspable(part_id, lambda opening: hand_of(gripper, opening, 0.08), hand.max_aperture_m, seed)


def outcomes(seed: int, options: Options) -> list[Outcome]:
    """Ask for every part of one scene, on clean depth and with the sensor model."""
    cv2.setNumThreads(1)
    scene = sample_scene(seed, options.preset)
    view = scene.render()
    judge = GraspJudge(scene)
    gripper = gripper_preset(options.gripper)
    settings = PipelineSettings(gripper=gripper)
    settings = replace(settings, grasp=replace(settings.grasp, per_contact=options.top))
    noisy = replace(settings, lift=replace(settings.lift, noise=NOISE_PRESETS['realsense_d435']))
    measured = SensorModel().apply(view.frame, np.random.default_rng(seed))
    found = []
    for part in scene.parts:
        truth = scene.truth(view, part.id)
        if truth.mask.sum() < 150 or not (options.all_parts or TAKING_HOLD & set(part.actions)):
            continue
        rows: list[tuple[str, Frame, PipelineSettings]] = [('clean', view.frame, settings), ('sensor', measured, noisy)]
        judged = []
        for depth, frame, chosen in rows:
            answer = lift_and_grasp(frame, answer_for(truth, options.answer), chosen)
            held = verdicts(scene, judge, part.id, list(answer.targets[: options.top]))
            judged.append((depth, held, answer.abstentions[0].code.name if answer.abstentions else ''))
        possible = any(OK in held for _, held, _ in judged) or within_reach(judge, part.id, options.gripper, seed)
        found += [Outcome(part.object_name, part.part, *row, possible) for row in judged]
    return found


def all_outcomes(seeds: range, options: Options, workers: int) -> Iterator[Outcome]:
    """Yield the outcomes of all scenes, from several processes when asked."""
    if workers <= 1:
        for seed in seeds:
            yield from outcomes(seed, options)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context('spawn')) as pool:
        for some in pool.map(outcomes, seeds, [options] * len(seeds), chunksize=4):
            yield from some


def table_of(found: list[Outcome], title: str) -> Table:
    """Return one row per class and part: how often the best, or one of the best five, holds."""
    table = Table('class', 'part', 'asked', 'beyond', 'refused', 'top-1', 'top-5', 'why not', title=title)
    groups: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for item in found:
        groups[item.kind, item.part].append(item)
    for (kind, part), items in [*sorted(groups.items()), (('all', ''), found)]:
        possible = [item for item in items if item.possible]
        first = sum(item.verdicts[:1] == (OK,) for item in possible)
        five = sum(OK in item.verdicts for item in possible)
        why = Counter(
            item.verdicts[0] if item.verdicts else item.refusal for item in possible if item.verdicts[:1] != (OK,)
        )
        count = max(1, len(possible))
        table.add_row(
            kind,
            part,
            str(len(possible)),
            str(len(items) - len(possible)),
            str(sum(not item.verdicts for item in possible)),
            f'{first / count:.0%}',
            f'{five / count:.0%}',
            ', '.join(f'{name} {number}' for name, number in why.most_common(4)),
        )
    return table


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--scenes', type=int, default=500)
    parser.add_argument('--first', type=int, default=50_000, help='seed of the first scene')
    parser.add_argument('--workers', type=int, default=2, help='processes')
    parser.add_argument('--gripper', default='generic')
    parser.add_argument('--answer', choices=('mask', 'keypoint'), default='mask', help='what the model gave')
    parser.add_argument('--preset', choices=('vga', 'hd'), default='vga')
    parser.add_argument('--all-parts', action='store_true', help='also parts that are pushed, filled, cut with ...')
    given = parser.parse_args()
    options = Options(given.gripper, given.answer, given.preset, given.all_parts)
    started, found = time.perf_counter(), []
    for item in all_outcomes(range(given.first, given.first + given.scenes), options, given.workers):
        found.append(item)
        if len(found) % 200 == 0:
            print(f'{len(found)} answers after {time.perf_counter() - started:.0f} s', file=sys.stderr, flush=True)
    console = Console(width=150)
    console.print(f'{len(found)} answers in {time.perf_counter() - started:.0f} s with {given.workers} processes')
    for depth in ('clean', 'sensor'):
        title = f'{depth} depth, {given.scenes} scenes, {given.gripper}, answer: {given.answer}'
        console.print(table_of([item for item in found if item.depth == depth], title))


if __name__ == '__main__':
    main()
