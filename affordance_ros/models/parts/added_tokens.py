# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SentencePiece models of LLaMA with added tokens such as `[SEG]`, as the slow tokenizer of transformers 4.31 did it.

Newer tokenizers keep the blanks around added tokens and so give other ids. The rules of that release: text is cut at
every added and special token, each piece is encoded by itself, and blanks beside an added token vanish. Where the
checkpoint says `"legacy": false`, only the first piece of a text gets a blank in front.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import sentencepiece

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.checkpoint import read_json
from affordance_ros.models.parts.tokenizer import IMAGE_ID, IMAGE_TOKEN

SPECIAL = ('<unk>', '<s>', '</s>')
_BLANK = '\u2581'


class AddedTokenTokenizer:
    """Text to ids and back. added: id of every added token. legacy: see the module."""

    def __init__(self, model_file: Path, added: Mapping[str, int], *, legacy: bool) -> None:
        self._pieces = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
        self._special = {token: int(self._pieces.piece_to_id(token)) for token in SPECIAL}
        self.unk_id, self.bos_id, self.eos_id = self._special.values()
        self.legacy = legacy
        self.added = dict(added)
        self._names = {number: token for token, number in (self.added | self._special).items()}
        longest_first = sorted((*self.added, *SPECIAL), key=len, reverse=True)
        self._split = re.compile('(' + '|'.join(map(re.escape, longest_first)) + ')')

    @classmethod
    def from_folder(cls, folder: Path) -> 'AddedTokenTokenizer':
        """Read tokenizer.model, added_tokens.json and tokenizer_config.json of a checkpoint.

        Without added_tokens.json the list inside tokenizer_config.json counts, where newer releases keep it.
        """
        model_file = folder / 'tokenizer.model'
        if not model_file.is_file():
            raise AffordanceError(Code.MISSING_WEIGHTS, f'{model_file} is missing; it belongs to the checkpoint')
        config_file = folder / 'tokenizer_config.json'
        config = read_json(config_file) if config_file.is_file() else {}
        listed = {entry['content']: number for number, entry in config.get('added_tokens_decoder', {}).items()}
        if (folder / 'added_tokens.json').is_file() or not listed:
            listed = read_json(folder / 'added_tokens.json')
        added = {str(token): int(number) for token, number in listed.items() if token not in SPECIAL}
        return cls(model_file, added, legacy=config.get('legacy') is not False)

    def id_of(self, token: str) -> int:
        """Return the id of an added token. Raises BAD_CHECKPOINT when there is none of that name."""
        if token not in self.added:
            known = ', '.join(self.added) or 'none'
            raise AffordanceError(
                Code.BAD_CHECKPOINT, f'added_tokens.json has no {token}, which this model answers with; it has {known}'
            )
        return self.added[token]

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without BOS; `<image>` is text here."""
        if not self.legacy:
            text = text.replace(_BLANK, ' ')
        parts = self._split.split(text)  # text, token, text, token, ..., text
        ids: list[int] = []
        for index, part in enumerate(parts):
            if index % 2:
                ids.append(self.added[part] if part in self.added else self._special[part])
                continue
            if index and parts[index - 1] in self.added:
                part = part.lstrip()
            if index + 1 < len(parts) and parts[index + 1] in self.added:
                part = part.rstrip()
            ids += self._encode_piece(part, first=index == 0)
        return ids

    def _encode_piece(self, text: str, *, first: bool) -> list[int]:
        pieces: list[str] = self._pieces.encode(text, out_type=str) if text else []
        if pieces and not self.legacy and not first and text[0] != ' ' and pieces[0].startswith(_BLANK):
            pieces = [pieces[0][1:], *pieces[1:]] if pieces[0] != _BLANK else pieces[1:]
        return [int(self._pieces.piece_to_id(piece)) for piece in pieces]

    def encode_prompt(self, prompt: str) -> list[int]:
        """Return BOS and the ids of a prompt; each `<image>` becomes IMAGE_ID and starts a new text."""
        first, *others = prompt.split(IMAGE_TOKEN)
        ids = [self.bos_id, *self.encode(first)]
        for chunk in others:
            ids += [IMAGE_ID, *self.encode(chunk)]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, every token kept, with blanks around the added ones."""
        parts: list[str] = []
        run: list[int] = []
        for number in [*ids, None]:
            if number is not None and self._names.get(number) not in self.added:
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
            elif number < len(self._pieces):  # a model may write an id that stands for nothing
                words.append(number)
                after_special = False
        return text + str(self._pieces.decode(words))
