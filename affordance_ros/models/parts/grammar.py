# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`decode='constrained'`: the text of a model follows the format of its own answers, so that it always parses.

A `Grammar` is put together from `Pattern`s beside the parser of a model. `GrammarGuide` follows a text: it masks what
the format forbids, and gives the tokens that have no alternative, which cost no forward pass. Every grammar is bounded:
`longest` is the most tokens that it can take, so that `max_new_tokens` never cuts an answer in half.
"""

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from affordance_ros.errors import AffordanceError, Code

_FEW = 128  # tokens: numbers and punctuation, no words


class Pattern(NamedTuple):
    """A regular expression and the most bytes that it matches; a token covers at least one byte."""

    regex: str
    longest: int


class Words(NamedTuple):
    """Free text of at most `tokens` tokens without any character of `without`."""

    tokens: int
    without: str = '<'


@dataclass(frozen=True)
class Grammar:
    """lark: in the dialect of llguidance. longest: most tokens of an answer, the closing one not counted.

    possible(text): whether a text that has begun can still become valid, for what no grammar says, such as the order of
    numbers. It is asked where few tokens are left to choose from, and some token must always pass.
    """

    lark: str
    longest: int
    possible: Callable[[str], bool] | None = None


def literal(text: str) -> Pattern:
    """Return the pattern of a fixed text."""
    return Pattern(re.escape(text).replace('/', r'\/').replace(r'\ ', ' '), len(text.encode()))


def digits(least: int, most: int) -> Pattern:
    """Return `least` to `most` decimal digits."""
    return Pattern(f'[0-9]{{{least},{most}}}', most)


def whole_number(most: int) -> Pattern:
    """Return a number of at most `most` digits, without a leading zero, which JSON forbids."""
    return Pattern(f'(0|[1-9][0-9]{{0,{most - 1}}})', most)


def number_up_to(limit: int) -> Pattern:
    """Return a whole number from 0 to `limit`, without a leading zero."""
    text = str(limit)
    found = ['0', *([f'[1-9][0-9]{{0,{len(text) - 2}}}'] if len(text) > 1 else [])]
    for index, digit in enumerate(text):  # same length, smaller at this digit
        least, most = (1 if index == 0 else 0), int(digit) - 1
        if most >= least:
            found.append(f'{text[:index]}[{least}-{most}][0-9]{{{len(text) - index - 1}}}')
    return Pattern(f'({"|".join([*found, text])})', len(text))


def sequence(*parts: Pattern | str) -> Pattern:
    """Return one part after another; a str is a literal."""
    patterns = [literal(part) if isinstance(part, str) else part for part in parts]
    return Pattern(''.join(pattern.regex for pattern in patterns), sum(pattern.longest for pattern in patterns))


def either(*parts: Pattern | str) -> Pattern:
    """Return one of the parts."""
    patterns = [literal(part) if isinstance(part, str) else part for part in parts]
    return Pattern(f'({"|".join(p.regex for p in patterns)})', max(p.longest for p in patterns))


def repeated(part: Pattern, least: int, most: int, between: str = '') -> Pattern:
    """Return `least` to `most` times the part, with a text between two of them."""
    if most < 1:
        return literal('')
    more = sequence(between, part)
    low, high = max(least - 1, 0), most - 1
    regex = f'{part.regex}({more.regex}){{{low},{high}}}' if high else part.regex
    longest = part.longest + high * more.longest
    return Pattern(f'({regex})?' if least == 0 else regex, longest)


def most_repetitions(tokens: int, around: int, part: Pattern, between: str) -> int:
    """Return how often `part` fits into `tokens` tokens beside `around` others, in the worst case."""
    return max(0, (tokens - around + len(between.encode())) // (part.longest + len(between.encode())))


def grammar_of(*parts: Pattern | Words | str) -> Grammar:
    """Return the grammar of one part after another."""
    names, rules, longest = [], [], 0
    for index, part in enumerate(parts):
        names.append(f'p{index}')
        if isinstance(part, Words):
            rules.append(f'p{index}[max_tokens={part.tokens}]: /[^{re.escape(part.without)}]*/')
            longest += part.tokens
        else:
            pattern = literal(part) if isinstance(part, str) else part
            rules.append(f'p{index}: /{pattern.regex}/')
            longest += pattern.longest
    return Grammar('\n'.join([f'start: {" ".join(names)}', *rules]), longest)


def corners_in_order(
    opening: str, limits: tuple[int, int], *, after: str = '', least: int = 2
) -> Callable[[str], bool]:
    """Return `Grammar.possible` for boxes of whole numbers: the second corner at least `least` beyond the first.

    opening: what stands before the four numbers x0,y0,x1,y1 and their ']'. limits: largest x and y. after: boxes count
    only behind this text, so that thoughts may say anything.
    """

    def possible(text: str) -> bool:
        answer = text.rpartition(after)[2] if after and after in text else '' if after else text
        body, closed, _ = answer.rpartition(opening)[2].partition(']') if opening in answer else ('', '', '')
        parts = [part.strip() for part in body.split(',')][:4]
        for index, part in enumerate(parts):
            limit = limits[index % 2]
            low, high = (0, limit - least) if index < 2 else (int(parts[index - 2]) + least, limit)
            if not _reachable(part, low, high, done=bool(closed) or index < len(parts) - 1):
                return False
        return True

    return possible


def _reachable(written: str, low: int, high: int, *, done: bool) -> bool:
    """Tell whether a number that begins with these digits (and ends with them when `done`) can lie in [low, high]."""
    if not written:
        return low <= high and not done
    value = int(written)
    further = 0 if done or value == 0 else len(str(high)) - len(written)
    return any(
        value * 10**more <= high and (value + 1) * 10**more - 1 >= low for more in range(max(0, further) + 1)
    )  # fmt: skip


def check_fits(grammar: Grammar, max_new_tokens: int, model: str) -> None:
    """Raise BAD_INPUT when an answer of this grammar could be cut off."""
    if grammar.longest + 1 > max_new_tokens:
        raise AffordanceError(
            Code.BAD_INPUT,
            f"{model}: decode='constrained' needs max_new_tokens of at least {grammar.longest + 1}, "
            f'{max_new_tokens} could cut an answer in half',
        )


@dataclass(frozen=True)
class TokenTable:
    """What a guide must know of a tokenizer.

    tokens: bytes of every token, None for one that is never written as text. encode: the ids of a text that goes on
    after other text (no blank in front, no beginning of sentence). eos_id: closes an answer.
    """

    tokens: Sequence[bytes | None]
    encode: Callable[[str], list[int]]
    eos_id: int


class GuideVocabulary:
    """A tokenizer prepared for guides; made once per model. size: of the logits, which may be padded."""

    def __init__(self, table: TokenTable, size: int) -> None:
        library = _llguidance()
        self.size, self.eos_id, self.tokens = size, table.eos_id, table.tokens
        source = _Source(table)
        wrapper = library.TokenizerWrapper(source)
        self.prepared: Any = library.LLTokenizer(wrapper, n_vocab=max(size, len(table.tokens)), slices=[])

    def guide(self, grammar: Grammar, device: torch.device) -> 'GrammarGuide':
        """Return a guide at the start of an answer."""
        return GrammarGuide(self, grammar, device)


class _Source:
    """The tokenizer as llguidance wants it."""

    def __init__(self, table: TokenTable) -> None:
        self.eos_token_id, self.bos_token_id = table.eos_id, None
        self.special_token_ids = [index for index, token in enumerate(table.tokens) if token is None]
        self.tokens = [b'<%d>' % index if token is None else token for index, token in enumerate(table.tokens)]
        self._encode = table.encode

    def __call__(self, text: str) -> list[int]:
        return self._encode(text)


class GrammarGuide:
    """Follows one answer; a `Guide` of `parts.decoding`."""

    def __init__(self, vocabulary: GuideVocabulary, grammar: Grammar, device: torch.device) -> None:
        library = _llguidance()
        self._vocabulary, self._device, self._possible = vocabulary, device, grammar.possible
        self._text = b''
        self._masked: np.ndarray[Any, np.dtype[np.bool_]] | None = None  # of the next token, once it was asked for
        self._matcher = library.LLMatcher(
            vocabulary.prepared, library.LLMatcher.grammar_from_lark(grammar.lark), log_level=0
        )
        self._check('the grammar of the answer is defective')

    def forced(self) -> list[int]:
        """Return the tokens that have no alternative, as the tokenizer itself would write them; maybe none."""
        if self._matcher.is_stopped():
            return [self._vocabulary.eos_id]
        tokens = [int(token) for token in self._matcher.compute_ff_tokens()]
        if tokens:
            return tokens
        mask = self._mask()
        return [int(mask.argmax())] if np.count_nonzero(mask) == 1 else []

    def allowed(self) -> torch.Tensor:
        """Return bool (V,) of the tokens that may come next."""
        return torch.from_numpy(self._mask()).to(self._device, copy=True)

    def advance(self, ids: Sequence[int]) -> None:
        """Take up tokens that were written."""
        self._masked = None
        text = [token for token in ids if token != self._vocabulary.eos_id]
        if text and not self._matcher.consume_tokens(text):
            self._check('the text left its grammar')
        self._text += b''.join(self._vocabulary.tokens[token] or b'' for token in text)

    def _mask(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        if self._masked is None:
            self._masked = self._new_mask()
        return self._masked

    def _new_mask(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        found = np.unpackbits(bits, bitorder='little')[: self._vocabulary.size].astype(np.bool_)
        mask = np.zeros(self._vocabulary.size, np.bool_)  # the head may have more rows than the tokenizer has tokens
        mask[: len(found)] = found
        self._check('the grammar of the answer is defective')
        if self._possible is not None and np.count_nonzero(mask) <= _FEW:
            for token in map(int, np.flatnonzero(mask)):
                piece = self._vocabulary.tokens[token] if token < len(self._vocabulary.tokens) else None
                mask[token] = piece is None or self._possible((self._text + piece).decode(errors='replace'))
        return mask

    def _check(self, what: str) -> None:
        if self._matcher.is_error():
            raise AffordanceError(Code.INTERNAL, f'{what}: {self._matcher.get_error()}')


def _llguidance() -> Any:
    try:
        return importlib.import_module('llguidance')
    except ImportError as error:
        raise AffordanceError(
            Code.BAD_INPUT,
            "decode='constrained' needs the package llguidance: pip install 'llguidance>=1.9,<2', or decode='free'",
        ) from error
