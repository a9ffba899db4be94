# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tokens of HandsOnVLM: the SentencePiece model of Vicuna plus plain added tokens, as transformers 4.31 treats them.

Three rules of that release show in the ids: text after any token that is cut out starts afresh with a blank in front,
blanks around an added token vanish, and blanks around a special token stay.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import sentencepiece

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.checkpoint import read_json

IMAGE_TOKEN = '<image>'
IMAGE_ID = -200
SPECIAL = ('<unk>', '<s>', '</s>')


class HandsTokenizer:
    """Text to ids and back. added: id of each added token, `<t0>` to `<t99>` and the hand token."""

    def __init__(self, model_file: Path, added: Mapping[str, int]) -> None:
        self._pieces = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
        self._special = {token: int(self._pieces.piece_to_id(token)) for token in SPECIAL}
        self.unk_id, self.bos_id, self.eos_id = self._special.values()
        self._added = dict(added)
        self._names = {number: token for token, number in (self._added | self._special).items()}
        longest_first = sorted((*self._added, *SPECIAL), key=len, reverse=True)
        self._split = re.compile('(' + '|'.join(map(re.escape, longest_first)) + ')')

    @classmethod
    def from_folder(cls, folder: Path) -> 'HandsTokenizer':
        """Read tokenizer.model and added_tokens.json of a checkpoint."""
        model_file = folder / 'tokenizer.model'
        if not model_file.is_file():
            raise AffordanceError(Code.MISSING_WEIGHTS, f'{model_file} is missing; it belongs to the checkpoint')
        config_file = folder / 'tokenizer_config.json'
        if config_file.is_file() and read_json(config_file).get('legacy') is False:
            raise AffordanceError(
                Code.BAD_CHECKPOINT, f'{config_file}: legacy must be true, as transformers 4.31 writes it for Vicuna'
            )
        added = read_json(folder / 'added_tokens.json')
        return cls(model_file, {str(token): int(number) for token, number in added.items()})

    def name(self, number: int) -> str:
        """Return the text of an added or special token. Raises BAD_CHECKPOINT when there is none of this id."""
        if number not in self._names:
            raise AffordanceError(Code.BAD_CHECKPOINT, f'added_tokens.json has no token with id {number}')
        return self._names[number]

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without BOS; `<image>` is text here."""
        parts = self._split.split(text)  # text, token, text, token, ..., text
        ids: list[int] = []
        for index, part in enumerate(parts):
            if index % 2:
                ids.append(self._added[part] if part in self._added else self._special[part])
                continue
            if index and parts[index - 1] in self._added:
                part = part.lstrip()
            if index + 1 < len(parts) and parts[index + 1] in self._added:
                part = part.rstrip()
            ids.extend(self._pieces.encode(part) if part else [])
        return ids

    def encode_prompt(self, prompt: str) -> list[int]:
        """Return BOS and the ids of a prompt; each `<image>` becomes IMAGE_ID and cuts the text like a token."""
        first, *others = prompt.split(IMAGE_TOKEN)
        ids = [self.bos_id, *self.encode(first)]
        for chunk in others:
            ids += [IMAGE_ID, *self.encode(chunk)]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, every token kept; the official program strips it."""
        parts: list[str] = []
        run: list[int] = []
        for number in [*ids, None]:
            if number is not None and self._names.get(number) not in self._added:
                run.append(number)
                continue
            if run:
                parts.append(self._decode_run(run))
                run = []
            if number is not None:
                parts.append(self._names[number])
        return ' '.join(parts)

    def _decode_run(self, run: Sequence[int]) -> str:
        """Return the text of ids without added tokens; a blank comes before the text that a special token ends."""
        text, words, after_special = '', list[int](), False
        for index, number in enumerate(run):
            if number in self._names:
                blank = ' ' if index and not after_special else ''
                text += blank + str(self._pieces.decode(words)) + self._names[number]
                words, after_special = [], True
            else:
                words.append(number)
                after_special = False
        return text + str(self._pieces.decode(words))
