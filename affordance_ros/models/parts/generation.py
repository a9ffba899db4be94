# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What generation_config.json of a checkpoint changes in every official answer, greedy ones too."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affordance_ros.models.parts.checkpoint import read_json
from affordance_ros.models.parts.qwen_tokenizer import QwenTokenizer


@dataclass(frozen=True)
class Generation:
    """eos_ids: what ends an answer. stated: whether the file names a penalty; none is one of 1."""

    eos_ids: tuple[int, ...]
    repetition_penalty: float
    stated: bool


def read_generation(folder: Path, tokenizer: QwenTokenizer) -> Generation:
    """Return what ends an answer and the penalty that the official `generate` applies with this folder."""
    file = folder / 'generation_config.json'
    stored: dict[str, Any] = read_json(file) if file.is_file() else {}
    eos = stored.get('eos_token_id')
    if eos is None:
        eos = read_json(folder / 'config.json').get('eos_token_id')
    ids = tokenizer.eos_ids if eos is None else tuple(int(each) for each in (eos if isinstance(eos, list) else [eos]))
    penalty = stored.get('repetition_penalty')
    return Generation(ids, 1.0 if penalty is None else float(penalty), stated=penalty is not None)
