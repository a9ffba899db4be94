# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The options that every model with a text answer shares."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import LoadOptions
from affordance_ros.models.parts.decoding import DecodeSettings

DECODINGS = ('free', 'constrained')


def check_known(what: str, name: str, known: Iterable[str]) -> None:
    """Raise BAD_INPUT when `name` is none of `known`."""
    if name not in known:
        raise AffordanceError(Code.BAD_INPUT, f'{what} {name!r} is unknown; known: {", ".join(known)}')


@dataclass(frozen=True)
class TextOptions(LoadOptions):
    """How the answer is written; None: what the profile says.

    profile: which official entry point is followed. decode: 'free' as official, or 'constrained' to the grammar of the
    answer. share_prefix: keep the key-value cache of the last prompt for the next question on the same image.
    """

    profile: str = 'robot'
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    max_new_tokens: int | None = None
    seed: int = 0
    decode: str = 'free'
    share_prefix: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_known('decode', self.decode, DECODINGS)
        for name, fits, rule in (
            ('max_new_tokens', self.max_new_tokens is None or self.max_new_tokens >= 1, 'at least 1'),
            ('temperature', (self.temperature or 0) >= 0, 'at least 0'),
            ('top_p', self.top_p is None or 0 < self.top_p <= 1, 'above 0 and at most 1'),
            ('top_k', (self.top_k or 0) >= 0, 'at least 0'),
            ('repetition_penalty', self.repetition_penalty is None or self.repetition_penalty > 0, 'above 0'),
        ):
            if not fits:
                raise AffordanceError(Code.BAD_INPUT, f'{name} must be {rule}, got {getattr(self, name)}')

    def settings(self, default: DecodeSettings) -> DecodeSettings:
        """Return the profile's settings with the given ones in their place."""
        names = ('temperature', 'top_p', 'top_k', 'repetition_penalty', 'max_new_tokens')
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(default, **given, seed=self.seed)
