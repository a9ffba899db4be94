# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the official HandsOnVLM programs do around the model, quirks included; for comparisons with their outputs."""

import re
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.handsonvlm_prompts import HAND_STEPS, LLAVA_V0, render
from affordance_ros.models.parts.conversation import Turn

IGNORED = -100
_QUOTED = re.compile('"([^"]*)"')


class PromptEncoder(Protocol):
    """The one method of a tokenizer that is needed here."""

    def encode_prompt(self, prompt: str) -> list[int]:
        """Return BOS and the ids of a prompt."""
        ...


def official_model_name(path: str) -> str:
    """Return the name that the programs make of a checkpoint's path."""
    parts = path.strip('/').split('/')
    return f'{parts[-2]}_{parts[-1]}' if parts[-1].startswith('checkpoint-') and len(parts) > 1 else parts[-1]


def official_template(path: str) -> str:
    """Return the template that the programs choose by the checkpoint's name. The training used vicuna_v1 always."""
    name = official_model_name(path).lower()
    if 'llama-2' in name:
        return 'llava_llama_2'
    if 'v1' in name:
        return 'llava_v1'
    if 'mpt' in name:
        text = f'the official program would use its template for MPT because of the folder name {name!r}'
        raise AffordanceError(Code.BAD_INPUT, f'{text}; rename the folder or give template=')
    return LLAVA_V0


def official_questions(value: str) -> list[str]:
    """Return the questions in one entry of the reasoning set: what stands between straight double quotes."""
    return _QUOTED.findall(value)


def official_returned(hands: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return (2, 4, 2) of positions (2, n, 2): the last four steps, or all of them and then zeros.

    The zeros are declared valid by the official program, even when there was no hand token at all.
    """
    kept = hands[:, -HAND_STEPS:]
    missing = HAND_STEPS - kept.shape[1]
    return np.concatenate([kept, np.zeros((len(hands), missing, 2), hands.dtype)], axis=1)


def official_training_ids(turns: Sequence[Turn], tokenizer: PromptEncoder) -> tuple[list[int], list[int]]:
    """Return (input ids, labels) of a conversation in the template of the training; only the answers are labelled."""
    ids = tokenizer.encode_prompt(render('vicuna_v1', turns))
    labels = [IGNORED] * len(ids)
    for index, (question, answer) in enumerate(turns):
        begun = len(tokenizer.encode_prompt(render('vicuna_v1', [*turns[:index], (question, None)])))
        ended = len(tokenizer.encode_prompt(render('vicuna_v1', [*turns[:index], (question, answer)])))
        labels[begun:ended] = ids[begun:ended]
    return ids, labels
