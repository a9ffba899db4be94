# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of the real sizes with random weights, in the layouts of the releases: for timing, not for answers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from safetensors.torch import save_file
from tokenizers import ByteLevelBPETokenizer

from random_checkpoints.layouts import LAYOUTS

SHARD_BYTES = 4 * 10**9
Shape = tuple[int, ...]
_TEXTS = [
    'point to the red mug handle', 'USER: ASSISTANT: [(0.123, 0.456), (0.789, 0.5)]', 'find a spot left of the box',
    '{"affordance_box": [[0.12, 0.34], [0.56, 0.78]]}', 'pick up 0123456789',
]  # fmt: skip


@dataclass(frozen=True)
class Size:
    """What to write. model: name to load it as. layout: name in LAYOUTS. hidden, mlp, layers, heads: of the LLM.

    tied: its head is its embedding.
    """

    model: str
    layout: str
    hidden: int
    mlp: int
    layers: int
    heads: int
    kv_heads: int = 0
    tied: bool = False


SIZES = {
    'robopoint-small': Size('robopoint', 'robopoint', 512, 1376, 8, 8),  # real tower and prompt lengths, for a CPU
    'robopoint-7b': Size('robopoint', 'robopoint', 4096, 11008, 32, 32),
    'robopoint-13b': Size('robopoint', 'robopoint', 5120, 13824, 40, 40),
    'handsonvlm-small': Size('handsonvlm', 'handsonvlm', 512, 1376, 8, 8),
    'handsonvlm-7b': Size('handsonvlm', 'handsonvlm', 4096, 11008, 32, 32),
    'handsonvlm-13b': Size('handsonvlm', 'handsonvlm', 5120, 13824, 40, 40),
    'glover-7b': Size('glover', 'glover', 4096, 11008, 32, 32),
    'glover_plus-small': Size('glover_plus', 'glover_plus', 512, 1376, 8, 8),
    'glover_plus-7b': Size('glover_plus', 'glover_plus', 4096, 11008, 32, 32),
    'robointer-small': Size('robointer', 'robointer', 512, 1376, 8, 8, 2),
    'robointer-7b': Size('robointer', 'robointer', 3584, 18944, 28, 28, 4),
    'affordance_r1-small': Size('affordance_r1', 'qwen2_5_vl', 512, 1376, 8, 8, 2),
    'affordance_r1-7b': Size('affordance_r1', 'qwen2_5_vl', 3584, 18944, 28, 28, 4),
    'robointer_qwen-small': Size('robointer_qwen', 'qwen2_5_vl', 512, 1376, 8, 8, 2),
    'robointer_qwen-3b': Size('robointer_qwen', 'qwen2_5_vl', 2048, 11008, 36, 16, 2, tied=True),
    'robointer_qwen-7b': Size('robointer_qwen', 'qwen2_5_vl', 3584, 18944, 28, 28, 4),
    'qwen3_vl-4b': Size('qwen_vl', 'qwen3_vl', 2560, 9728, 36, 32, 8, tied=True),
}
# Tokens of an answer where random weights would find an end of their own: four points, some thoughts, four points.
_FREE = {'robopoint': 60, 'affordance_r1': 200, 'qwen_vl': 60}


def write(size: Size, folder: Path) -> dict[str, Any]:
    """Write the folder, unless it is there, and return the options to load it with."""
    layout = LAYOUTS[size.layout]
    options: dict[str, Any] = {'checkpoint': str(folder)} | {name: str(folder / name) for name in layout.folders}
    if size.model in _FREE:  # the others write their format
        options |= {'decode': 'free', 'max_new_tokens': _FREE[size.model], 'task': 'text'}
    if (folder / 'complete').is_file():
        return options
    folder.mkdir(parents=True, exist_ok=True)
    pieces = _write_bpe(folder, layout.special) if layout.special else _write_sentencepiece(folder)
    config, shapes = layout.make(size, pieces, folder)
    (folder / 'config.json').write_text(json.dumps(config))
    write_random(folder, shapes, spoken=pieces)
    for name in layout.folders:
        if extra := layout.folders[name]:
            write_random(folder / name, extra)
    (folder / 'complete').touch()
    return options


def write_random(folder: Path, shapes: Mapping[str, Shape], spoken: int = 0) -> None:
    """Write float16 shards: matrices of small random numbers, ones for other weights, zeros for biases.

    spoken: the head gives only tokens below it a value, and none to the closing one: answers have the asked length.
    """
    pool = torch.randn(2**24, generator=torch.Generator().manual_seed(0)).mul_(0.02).half()
    where: dict[str, str] = {}
    head = 'lm_head.weight' if 'lm_head.weight' in shapes else 'model.embed_tokens.weight'
    for number, part in enumerate(_parts(shapes)):
        name = f'model-{number + 1:05d}.safetensors'
        tensors = {key: _values(key, shape, pool) for key, shape in part.items()}
        if head in tensors:
            tensors[head][spoken:] = tensors[head][:3] = 0
        save_file(tensors, folder / name)
        where |= dict.fromkeys(part, name)
    (folder / 'model.safetensors.index.json').write_text(json.dumps({'metadata': {}, 'weight_map': where}))


def _parts(shapes: Mapping[str, Shape]) -> Iterator[dict[str, Shape]]:
    part: dict[str, Shape] = {}
    size = 0
    for key, shape in shapes.items():
        if part and size > SHARD_BYTES:
            yield part
            part, size = {}, 0
        part[key] = shape
        size += 2 * torch.Size(shape).numel()
    yield part


def _values(key: str, shape: Shape, pool: torch.Tensor) -> torch.Tensor:
    if len(shape) < 2:
        return torch.zeros(shape).half() if key.endswith('bias') else torch.ones(shape).half()
    count = torch.Size(shape).numel()
    return pool.repeat(-(-count // len(pool)))[:count].reshape(shape)


def _write_sentencepiece(folder: Path) -> int:
    """Write a tokenizer with the special ids of LLaMA; the rest of the vocabulary is rows that nothing writes."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_TEXTS * 20), model_prefix=str(folder / 'tokenizer'), model_type='bpe', vocab_size=340,
        byte_fallback=True, normalization_rule_name='identity', remove_extra_whitespaces=False, split_digits=True,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (folder / 'tokenizer_config.json').write_text(json.dumps({'legacy': True}))
    return int(sentencepiece.SentencePieceProcessor(model_file=str(folder / 'tokenizer.model')).get_piece_size())


def _write_bpe(folder: Path, names: Sequence[str]) -> int:
    """Write a byte-level tokenizer with special tokens behind its pieces and return how many pieces there are."""
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(_TEXTS, vocab_size=320, min_frequency=1, show_progress=False)
    tokenizer.save_model(str(folder))
    count = int(tokenizer.get_vocab_size())
    added = {str(count + index): {'content': name, 'special': True} for index, name in enumerate(names)}
    record = {
        'tokenizer_class': 'Qwen2Tokenizer', 'added_tokens_decoder': added, 'eos_token': '<|im_end|>',
        'pad_token': '<|endoftext|>', 'unk_token': None, 'bos_token': None,
    }  # fmt: skip
    (folder / 'tokenizer_config.json').write_text(json.dumps(record))
    (folder / 'added_tokens.json').write_text(json.dumps({name: count + i for i, name in enumerate(names)}))
    return count
