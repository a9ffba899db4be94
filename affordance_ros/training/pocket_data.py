# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches for the pocket training: dense labels for the tower, and several questions packed behind one image.

Packed questions are blind to each other and share their positions, so each is exactly the prompt that inference sees.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sentencepiece
import torch
from torch import Tensor

from affordance_ros.datasets.scene_views import ShardColumns
from affordance_ros.models.parts.conversation import TEMPLATES
from affordance_ros.models.robopoint import POINT_SUFFIX
from affordance_ros.training.pocket_net import CELLS
from affordance_ros.training.pocket_tokenizer import CLOSE, MIDDLE, OPEN, piece
from affordance_ros.training.recipes import TowerSizes

MEAN, STD = (
    np.array([0.48145466, 0.4578275, 0.40821073], np.float32),
    np.array([0.26862954, 0.26130258, 0.27577711], np.float32),
)
MIN_AREA = 40
TEMPLATE = 'vicuna_v1'
DIGIT_WEIGHTS = (1.0, 0.999, 0.3)
FORM_WEIGHT = 0.1


@dataclass(frozen=True)
class View:
    """One training view, perhaps mirrored. slots: int16 (h, w) part id of every pixel, 0 = table."""

    shard: ShardColumns
    index: int
    mirrored: bool
    slots: npt.NDArray[np.uint8]
    points: npt.NDArray[np.float32]


def draw_views(shards: list[ShardColumns], count: int, rng: np.random.Generator) -> list[View]:
    """Draw views with a random mirror; points are (u, v) in [0, 1]."""
    views = []
    for _ in range(count):
        shard = shards[int(rng.integers(len(shards)))]
        index = int(rng.integers(len(shard.images)))
        mirrored = bool(rng.random() < 0.5)
        slots, points = np.asarray(shard.part_ids[index]), np.array(shard.points[index])
        if mirrored:
            slots, points = slots[:, ::-1], np.column_stack((1 - points[:, 0], points[:, 1]))
        views.append(View(shard, index, mirrored, slots, points))
    return views


def pixels_of(views: list[View], rng: np.random.Generator) -> Tensor:
    """Return normalised pixels (B, 3, S, S) with brightness, contrast and white-balance jitter."""
    images = []
    for view in views:
        image = np.asarray(view.shard.images[view.index], np.float32) / 255
        image = image[:, ::-1] if view.mirrored else image
        gain = rng.uniform(0.8, 1.2) * rng.uniform(0.94, 1.06, 3)
        image = np.clip((image - 0.5) * rng.uniform(0.85, 1.15) + 0.5, 0, 1) * gain
        images.append((np.clip(image, 0, 1) - MEAN) / STD)
    return torch.from_numpy(np.stack(images).astype(np.float32)).permute(0, 3, 1, 2).contiguous()


def dense_labels(views: list[View], sizes: TowerSizes) -> tuple[Tensor, Tensor, Tensor]:
    """Return cells and colours (B, N, CELLS^2), 0 = table, and votes (B, N, 2), NaN where a patch shows no part."""
    grid, side = sizes.grid, sizes.grid * CELLS
    cells, colors, votes = [], [], []
    for view in views:
        height, width = view.slots.shape
        rows, columns = (
            ((np.arange(side) + 0.5) / side * height).astype(int),
            ((np.arange(side) + 0.5) / side * width).astype(int),
        )
        slots = view.slots[rows[:, None], columns].astype(int)
        patches = slots.reshape(grid, CELLS, grid, CELLS).transpose(0, 2, 1, 3).reshape(grid * grid, -1)
        pair = np.concatenate(([0], view.shard.pairs[view.index] + 1))
        color = np.concatenate(([0], view.shard.colors[view.index] + 1))
        cells.append(pair[patches])
        colors.append(color[patches])
        points = np.concatenate((np.full((1, 2), np.nan), view.points))
        counts = (patches[:, :, None] == np.arange(1, len(pair))).sum(1)
        votes.append(points[np.where(counts.max(1) > 0, counts.argmax(1) + 1, 0)])
    return (
        torch.from_numpy(np.stack(cells).astype(np.int64)),
        torch.from_numpy(np.stack(colors).astype(np.int64)),
        torch.from_numpy(np.stack(votes).astype(np.float32)),
    )


class TurnWriter:
    """Writes questions and answers as token ids, the way the port writes prompts."""

    def __init__(self, tokenizer: bytes) -> None:
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer)
        self.vocabulary = int(self.processor.vocab_size())
        self.head = [1, *self.processor.encode(TEMPLATES[TEMPLATE].system + ' USER: ')]
        self._cache: dict[str, list[int]] = {}

    def question(self, sentence: str) -> list[int]:
        """Return the ids between the image and the answer."""
        if sentence not in self._cache:
            self._cache[sentence] = list(self.processor.encode('\n' + sentence + POINT_SUFFIX + ' ASSISTANT:'))
        return self._cache[sentence]

    def answer(self, point: npt.NDArray[np.float32]) -> tuple[list[int], list[float]]:
        """Return ids and loss weights of the answer to a point (u, v) in [0, 1], the end token included."""
        ids, weights = [], []
        for coordinate, before in zip(point, (OPEN, MIDDLE), strict=True):
            text = f'{min(int(coordinate * 1000), 999):03d}'
            ids += [self.processor.piece_to_id(piece(before)), *(self.processor.piece_to_id(digit) for digit in text)]
            weights += [FORM_WEIGHT, *DIGIT_WEIGHTS]
        return [*ids, self.processor.piece_to_id(CLOSE), 2], [*weights, FORM_WEIGHT, FORM_WEIGHT]


def draw_turns(view: View, count: int, rng: np.random.Generator) -> Iterator[tuple[int, str]]:
    """Draw (part id, sentence) pairs of visible parts, small parts more often."""
    areas = np.asarray(view.shard.areas[view.index])
    seen = np.flatnonzero(areas >= MIN_AREA)
    if not len(seen):
        return
    weight = np.clip((1500 / areas[seen]) ** 0.5, 0.7, 3.0)
    for slot in rng.choice(seen, count, p=weight / weight.sum()):
        sentences = view.shard.sentences(view.index, int(slot) + 1)
        sentence = sentences[int(rng.integers(len(sentences)))]
        if rng.random() < 0.4:
            sentence = sentence[0].upper() + sentence[1:]
        if rng.random() < 0.3 and not sentence.endswith('?'):
            sentence += '.'
        yield int(slot) + 1, sentence


def pack_turns(
    views: list[View], writer: TurnWriter, sizes: TowerSizes, turns: int, rng: np.random.Generator
) -> dict[str, Tensor]:
    """Pack `turns` questions behind each image.

    Returns ids, positions, labels, weights (B, L), an additive mask (B, 1, L, L), and for the guided attention: guided
    (G, 2) row and column of the asking tokens, regions and spots (G, N) target shares over the patches.
    """
    start = len(writer.head) + sizes.grid**2
    rows = [_pack_row(view, list(draw_turns(view, turns, rng)), writer, start) for view in views]
    length = max(len(row[0]) for row in rows)
    shape = (len(views), length)
    ids, positions, turn_of = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.full(shape, -1)
    labels, weights = np.full(shape, -1), np.zeros(shape, np.float32)
    guided, regions, spots = [], [], []
    for index, (row, view) in enumerate(zip(rows, views, strict=True)):
        count = len(row[0])
        (
            ids[index, :count],
            positions[index, :count],
            turn_of[index, :count],
            labels[index, :count],
            weights[index, :count],
        ) = row[:5]
        for column, part_id in row[5]:
            region, spot = _targets(view, part_id, sizes.grid)
            guided.append((index, column))
            regions.append(region)
            spots.append(spot)
    same = (turn_of[:, :, None] == turn_of[:, None, :]) | (turn_of[:, None, :] == 0)
    allowed = same & (np.arange(length)[:, None] >= np.arange(length)) | np.eye(length, dtype=bool)
    return {
        'ids': torch.from_numpy(ids),
        'positions': torch.from_numpy(positions),
        'labels': torch.from_numpy(labels),
        'weights': torch.from_numpy(weights),
        'mask': torch.where(torch.from_numpy(allowed), 0.0, -1e9)[:, None],
        'guided': torch.tensor(guided, dtype=torch.long).view(-1, 2),
        'regions': torch.from_numpy(np.array(regions, np.float32).reshape(-1, sizes.grid**2)),
        'spots': torch.from_numpy(np.array(spots, np.float32).reshape(-1, sizes.grid**2)),
    }


Row = tuple[list[int], list[int], list[int], list[int], list[float], list[tuple[int, int]]]


def _pack_row(view: View, turns: list[tuple[int, str]], writer: TurnWriter, start: int) -> Row:
    """Return ids, positions, turn numbers (0: shared), labels of the NEXT token, their weights, the guided columns."""
    ids = writer.head + [0] * (start - len(writer.head))
    positions, turn_of = list(range(start)), [0] * start
    labels, weights, guided = [-1] * start, [0.0] * start, []
    for number, (part_id, sentence) in enumerate(turns, start=1):
        question = writer.question(sentence)
        answer, answer_weights = writer.answer(view.points[part_id - 1])
        text = question + answer[:-1]
        asking = len(ids) + len(question) - 1
        guided += [(asking + offset, part_id) for offset in (0, 1, 2, 3, 5, 6, 7)]
        labels += [-1] * (len(question) - 1) + answer
        weights += [0.0] * (len(question) - 1) + answer_weights
        ids += text
        positions += range(start, start + len(text))
        turn_of += [number] * len(text)
    return ids, positions, turn_of, labels, weights, guided


def _targets(view: View, part_id: int, grid: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    height, width = view.slots.shape
    v, u = np.nonzero(view.slots == part_id)
    region = np.bincount((v * grid // height) * grid + u * grid // width, minlength=grid * grid).astype(np.float32)
    spot = np.zeros(grid * grid, np.float32)
    column, row = np.minimum((view.points[part_id - 1] * grid).astype(int), grid - 1)
    spot[row * grid + column] = 1
    return region / region.sum(), spot
