# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames per second of the offline replay without the model, beside plain reading of the same bag in the same run.

plain: rosbags alone reads and deserialises every message of the bag, then makes arrays of its images (a JPEG or PNG is
decoded, pixels that are there already are looked at). ours: decode, pair, pose, lift to 3D and write the line of the
answer, for a model that points at a given pixel at once. All run in one process and thread, one after the other,
several times; the medians of CPU time are compared. The search for grasps is measured apart.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from rosbags.highlevel import AnyReader

from affordance_ros.bags import look_into, read_frames, typestore
from affordance_ros.evaluation.askers import ModelAsker
from affordance_ros.evaluation.records import RunFolder, answered
from affordance_ros.evaluation.replay import ReplaySettings, replay, times_of
from affordance_ros.evaluation.selection import FrameChoice
from affordance_ros.evaluation.synthetic_bags import BagRecipe, write_synthetic_bag
from affordance_ros.geometry.lifting import lift_places
from affordance_ros.memory import keep_freed_memory
from affordance_ros.models import load_model
from affordance_ros.pipeline import Answer, PipelineSettings
from affordance_ros.results import Abstention, Contact, Query
from affordance_ros.scenes import sample_scene

KINDS = {
    'raw, 16UC1': BagRecipe(depth='16UC1'),
    'raw, 32FC1': BagRecipe(depth='32FC1'),
    'JPEG, compressedDepth': BagRecipe(depth='compressedDepth', jpeg=True),
}


def plain(bag: Path) -> int:
    """Read a bag with rosbags and decode its images; return the number of colour images."""
    count = 0
    with AnyReader([bag], default_typestore=typestore()) as reader:
        for connection, _, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            if connection.msgtype.endswith('CompressedImage'):
                packed = np.asarray(message.data)
                is_depth = 'compressedDepth' in message.format
                cv2.imdecode(packed[12:] if is_depth else packed, cv2.IMREAD_UNCHANGED)
                count += not is_depth
            elif connection.msgtype.endswith('msg/Image'):
                np.asarray(message.data).reshape(message.height, message.step)
                count += message.encoding in ('rgb8', 'bgr8')
    return count


def frames(bag: Path) -> int:
    """Decode, pair and pose every frame."""
    return sum(1 for _ in read_frames(bag))


def lifted(bag: Path, sentence: str) -> int:
    """Decode, pair, lift and write: everything but the model and the search for grasps."""
    model, query, settings = load_model('fake'), Query(sentence), PipelineSettings()
    with tempfile.TemporaryDirectory() as out:
        folder, count = RunFolder(Path(out)), 0
        folder.begin({}, resume=False)
        for chosen in FrameChoice().select(read_frames(bag)):
            prediction = model.predict(chosen.frame, query)
            places = [place.item for place in lift_places(chosen.frame, prediction, settings.lift)]
            contacts = tuple(item for item in places if isinstance(item, Contact))
            refused = tuple(item for item in places if isinstance(item, Abstention))
            answer = Answer(chosen.frame, prediction, contacts, (), refused, {})
            folder.append(answered(chosen, 0, answer), times_of(chosen, 0, {}))
            count += 1
        return count


def whole(bag: Path, sentence: str) -> int:
    """Replay as `affordance eval bag` does, without pictures."""
    settings = ReplaySettings(bag, (Query(sentence),), topics=look_into(bag).topics, overlays=False, views=False)
    with tempfile.TemporaryDirectory() as out:
        folder = RunFolder(Path(out))
        folder.begin({}, resume=False)
        return replay(settings, ModelAsker(load_model('fake'), settings.pipeline), folder, 0).frames


def rate(work: Callable[[], int], times: int) -> float:
    """Return the median of frames per second of CPU time: other programs on the machine do not count."""
    found = []
    for _ in range(times):
        start = time.process_time()
        count = work()
        found.append(count / (time.process_time() - start))
    return statistics.median(found)


def main() -> None:
    """Write bags, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--preset', default='vga', help='vga (640x480) or hd (1280x720)')
    parser.add_argument('--frames', type=int, default=150)
    parser.add_argument('--times', type=int, default=5, help='how often each is measured')
    parser.add_argument('--json', type=Path, help='write the numbers there as well')
    options = parser.parse_args()
    cv2.setNumThreads(1)
    keep_freed_memory()
    table = Table(title=f'frames per second, {options.preset}, {options.frames} frames', title_justify='left')
    for name in ('bag', 'plain rosbags', 'decode, pair', '+ lift, write', 'plain / ours', '+ grasp'):
        table.add_column(name, justify='left' if name == 'bag' else 'right')
    numbers = {}
    for name, recipe in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            row = measure(Path(folder), recipe, options)
        numbers[name] = row
        plain_, read, ours, whole_ = (f'{row[key]:.0f}' for key in ('plain', 'frames', 'ours', 'whole'))
        table.add_row(name, plain_, read, ours, f'{row["ratio"]:.2f}', whole_)
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=2) + '\n')


def measure(folder: Path, recipe: BagRecipe, options: argparse.Namespace) -> dict[str, float]:
    """Return the rates on one kind of bag: of a turning camera, one question about the part in the middle."""
    scene = sample_scene(3, options.preset, must_have=('red', 'mug'))
    recipe = BagRecipe(frames=options.frames, turn_deg=0.5, depth=recipe.depth, jpeg=recipe.jpeg)
    write_synthetic_bag(folder, scene, recipe)
    label = json.loads((folder / 'labels.json').read_text())['labels'][0]
    u, v = label['points_uv_px'][0]
    bag, sentence = folder / 'bag', f'grasp at {u},{v}'
    for work in (lambda: plain(bag), lambda: lifted(bag, sentence)):
        work()  # imports, caches of compiled readers, the page cache
    row = {
        'plain': rate(lambda: plain(bag), options.times),
        'frames': rate(lambda: frames(bag), options.times),
        'ours': rate(lambda: lifted(bag, sentence), options.times),
        'whole': rate(lambda: whole(bag, sentence), 1),
    }
    return {**row, 'ratio': row['plain'] / row['ours']}


if __name__ == '__main__':
    main()
