# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What GLOVER is asked: the official sentences, the official entry points as profiles, and when an answer may end.

Sources: utils/utils.py, infer.py, infer.sh, eval.py and dataset/*.py of TeleeMa/GLOVER at 0971cce.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.conversation import TEMPLATES
from affordance_ros.models.parts.decoding import DecodeSettings
from affordance_ros.models.parts.tokenizer import IMAGE_TOKEN
from affordance_ros.results import Query

SEG_TOKEN = '[SEG]'
IMAGE_START, IMAGE_END = '<im_start>', '<im_end>'
QUESTION = 'Where should I interact with the {object} to {action} it? Please output segmentation mask.'
QUESTION_WITHOUT_ACTION = 'Where should I interact with the {object}? Please output segmentation mask.'  # 3DOI training
TRAINING_ANSWER = 'You can interact with the highlighted area [SEG].'
TEMPLATE = TEMPLATES['llava_v1']
_GREEDY = DecodeSettings(max_new_tokens=512, temperature=0.0)


@dataclass(frozen=True)
class Profile:
    """How one of the entry points asks and reads.

    answer_only: only the `[SEG]` of the answer count; officially one in the question comes first.
    text_in_second_stage: the second decoder of GLOVER++ sees the text embedding too.
    forced: the answer of the training data is put into the model's mouth: one pass, and another map than free writing.
    """

    answer_only: bool = True
    text_in_second_stage: bool = True
    forced: bool = False
    decode: DecodeSettings = _GREEDY


PROFILES = {
    'robot': Profile(),
    'infer': Profile(answer_only=False),  # infer.sh, which passes --use_text_emb_in_suffix_sam; eval.py does the same
    'infer_py': Profile(answer_only=False, text_in_second_stage=False),  # infer.py without that flag
    'forced': Profile(forced=True),  # the published training data
}


def build_question(query: Query) -> str:
    """Return the question: the text as it is, or the official sentence about object and action.

    Raises:
        AffordanceError: BAD_INPUT when it holds the image marker, which may stand only once in a prompt.
    """
    if query.text.strip():
        question = query.text.strip()
    elif query.action:
        question = QUESTION.format(object=query.object, action=query.action)
    else:
        question = QUESTION_WITHOUT_ACTION.format(object=query.object)
    if IMAGE_TOKEN in question:
        raise AffordanceError(Code.BAD_INPUT, f'the question may not hold {IMAGE_TOKEN}; leave it out')
    return question


def build_prompt(question: str) -> str:
    """Return the whole prompt up to `ASSISTANT:`."""
    image = f'{IMAGE_START}{IMAGE_TOKEN}{IMAGE_END}'
    return TEMPLATE.render([(f'{image}\n{question}', None)])


class SegGuide:
    """Lets an answer end only after `[SEG]`, and ends it there; `[SEG]` is forced after `patience` tokens.

    The map then always exists and the words after `[SEG]`, which nobody reads, are not written.
    """

    def __init__(self, seg_id: int, eos_id: int, vocabulary: int, patience: int) -> None:
        self._seg_id, self._eos_id, self._patience = seg_id, eos_id, patience
        self._free = torch.ones(vocabulary, dtype=torch.bool)
        self._free[eos_id] = False
        self._written: list[int] = []

    def forced(self) -> list[int]:
        """Return what has no alternative."""
        if self._seg_id in self._written:
            return [self._eos_id]
        return [self._seg_id] if len(self._written) >= self._patience else []

    def allowed(self) -> torch.Tensor | None:
        """Return bool (V,): everything but the end."""
        return self._free

    def advance(self, ids: Sequence[int]) -> None:
        """Take up tokens that were written."""
        self._written += ids
