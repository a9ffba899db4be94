# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tokenisation with the SentencePiece model of LLaMA, exactly as the slow LlamaTokenizer of transformers 4.43 did it.

Newer transformers dropped that class and lose a blank in some texts, so the rule lives here in a few lines.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import sentencepiece

from affordance_ros.errors import AffordanceError, Code

IMAGE_TOKEN = '<image>'
IMAGE_ID = -200
_SPECIAL = ('<unk>', '<s>', '</s>')
_SPLIT_SPECIAL = re.compile('(' + '|'.join(map(re.escape, _SPECIAL)) + ')')
_BLANK = '\u2581'


class LlamaTokenizer:
    """Text to ids and back. `legacy` (from tokenizer_config.json): text after a special token gets a blank in front."""

    def __init__(self, model_file: Path, *, legacy: bool) -> None:
        self._pieces = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
        self._legacy = legacy
        self.unk_id, self.bos_id, self.eos_id = (int(self._pieces.piece_to_id(token)) for token in _SPECIAL)
        self._unk_prefix = len(self._pieces.encode('<unk>'))

    @classmethod
    def from_folder(cls, folder: Path) -> 'LlamaTokenizer':
        """Read tokenizer.model and tokenizer_config.json of a checkpoint."""
        model_file = folder / 'tokenizer.model'
        if not model_file.is_file():
            raise AffordanceError(Code.MISSING_WEIGHTS, f'{model_file} is missing; it belongs to the checkpoint')
        config_file = folder / 'tokenizer_config.json'
        config = json.loads(config_file.read_text()) if config_file.is_file() else {}
        return cls(model_file, legacy=config.get('legacy') is not False)

    def __len__(self) -> int:
        return int(self._pieces.get_piece_size())

    def encode(self, text: str) -> list[int]:
        """Return BOS and the ids of one text without image marker."""
        ids = [self.bos_id]
        for index, part in enumerate(_SPLIT_SPECIAL.split(text)):
            if part in _SPECIAL:
                ids.append(int(self._pieces.piece_to_id(part)))
            elif part and (index == 0 or self._legacy):
                ids.extend(self._pieces.encode(part))
            elif part:
                ids.extend(self._pieces.encode('<unk>' + part)[self._unk_prefix :])
        return ids

    def encode_more(self, text: str) -> list[int]:
        """Return the ids of a text that goes on after other text: no BOS and no blank in front."""
        return [int(token) for token in self._pieces.encode('<unk>' + text)[self._unk_prefix :]]

    def token_bytes(self) -> list[bytes | None]:
        """Return the bytes of every token; None: never written as text (special, or a byte that has its own piece)."""
        pieces = self._pieces
        found = [
            None if pieces.is_control(i) or pieces.is_unknown(i) else _piece_bytes(pieces, i) for i in range(len(self))
        ]
        written = {token for i, token in enumerate(found) if token is not None and not pieces.is_byte(i)}
        return [None if pieces.is_byte(i) and token in written else token for i, token in enumerate(found)]

    def encode_prompt(self, prompt: str) -> list[int]:
        """Return the ids of a prompt; each '<image>' becomes IMAGE_ID.

        Every chunk between the markers is encoded by itself, with a blank in front, and only the first keeps BOS.
        """
        first, *others = prompt.split(IMAGE_TOKEN)
        ids = self.encode(first)
        for chunk in others:
            ids += [IMAGE_ID, *self.encode(chunk)[1:]]
        return ids

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """Return the text of `ids`, without special tokens unless asked for."""
        names = {self.unk_id: '<unk>', self.bos_id: '<s>', self.eos_id: '</s>'}
        if skip_special:
            ids = [token for token in ids if token not in names]
        text, run = '', list[int]()
        for token in ids:
            if token in names:
                text += self._decode_run(run, at_start=not text) + names[token]
                run = []
            else:
                run.append(token)
        return text + self._decode_run(run, at_start=not text)

    def _decode_run(self, run: list[int], *, at_start: bool) -> str:
        if not run:
            return ''
        blank = not at_start and not self._legacy and str(self._pieces.id_to_piece(run[0])).startswith(_BLANK)
        return (' ' if blank else '') + str(self._pieces.decode(run))


def _piece_bytes(pieces: sentencepiece.SentencePieceProcessor, index: int) -> bytes:
    piece = str(pieces.id_to_piece(index))
    return bytes([int(piece[3:5], 16)]) if pieces.is_byte(index) else piece.replace(_BLANK, ' ').encode()
