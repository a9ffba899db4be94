# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SentencePiece vocabulary of the pocket models.

The official prompt stays as it is, word for word; its fixed texts and the brackets of the answer are single pieces, so
a question is about twelve tokens and an answer ten.
"""

import io
from collections.abc import Sequence

import sentencepiece

from affordance_ros.models.parts.conversation import TEMPLATES
from affordance_ros.models.robopoint import POINT_SUFFIX
from affordance_ros.scenes import sample_scene

OPEN, MIDDLE, CLOSE = ' [(0.', ', 0.', ')]'
EXTRA_LINES = (
    '0 1 2 3 4 5 6 7 8 9',
    'USER: ASSISTANT:',
    'A B C D E F G H I J K L M N O P Q R S T U V W X Y Z',
    ". , ? ! ' - : ( ) [ ]",
)


def piece(text: str) -> str:
    """Return text as SentencePiece writes it."""
    return text.replace(' ', '\u2581')


def pocket_sentences(scenes: int = 300) -> list[str]:
    """Return the sentences of some scenes, sorted, without repetition."""
    found: set[str] = set()
    for seed in range(scenes):
        scene = sample_scene(seed, 'pocket')
        for part in scene.parts:
            found.update(scene.sentences(part.id))
    return sorted(found)


def train_tokenizer(sentences: Sequence[str], size: int) -> bytes:
    """Return a tokenizer.model (bytes) with byte fallback, bos 1, eos 2, unk 0, no pad, digits split."""
    systems = [template.system for template in TEMPLATES.values()]
    lines = [*sentences, *(line[0].upper() + line[1:] for line in sentences), *EXTRA_LINES * 200]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=size,
        model_type='bpe',
        byte_fallback=True,
        character_coverage=1.0,
        add_dummy_prefix=True,
        remove_extra_whitespaces=False,
        normalization_rule_name='identity',
        split_digits=True,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        user_defined_symbols=[
            piece(text)
            for text in (POINT_SUFFIX, *dict.fromkeys(systems), ' USER:', ' ASSISTANT:', OPEN, MIDDLE, CLOSE)
        ],
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
    )
    return model.getvalue()
