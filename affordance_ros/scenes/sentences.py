# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sentences that the scenes understand: which part a request means, and all ways to ask for a part."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

GERUND_FREE = ('Point to', 'Find', 'Locate', 'Show me')


@dataclass(frozen=True)
class ScenePart:
    """One labelled part of one object. id: its value in the part map (1, 2, ...)."""

    id: int
    object_index: int
    object_name: str
    color: str
    part: str
    actions: tuple[str, ...]


def _nouns(part: ScenePart, *, unique: bool) -> list[str]:
    full = f'the {part.color} {part.object_name}'
    return [full, f'the {part.object_name}'] if unique else [full]


def sentences_for(part: ScenePart, parts: Sequence[ScenePart]) -> tuple[str, ...]:
    """Return every sentence that means `part` among `parts`; a bare noun only where the scene has one such object."""
    unique = len({other.object_index for other in parts if other.object_name == part.object_name}) == 1
    sentences = []
    for noun in _nouns(part, unique=unique):
        sentences += [f'{verb} the {part.part} of {noun}' for verb in GERUND_FREE]
        sentences += [f'{action} {noun}' for action in part.actions]
        sentences += [f'I want to {action} {noun}' for action in part.actions]
        sentences += [f'Where should I {action} {noun}?' for action in part.actions[:2]]
        sentences += [
            f'{verb} {noun} by {its} {part.part}' for verb in ('grasp', 'hold', 'take') for its in ('its', 'the')
        ]
        sentences += [f'grasp the {part.part} of {noun}', f'touch the {part.part} of {noun}']
    return tuple(dict.fromkeys(sentences))


def _words(text: str) -> str:
    return ' ' + ' '.join(re.findall(r'[a-z]+', text.lower())) + ' '


def find_part(sentence: str, parts: Sequence[ScenePart]) -> ScenePart | None:
    """Return the part that a sentence means, None when the scene has no such thing or the sentence fits several.

    A named part wins over an action: "grasp the kettle by its spout" means the spout.
    """
    text = _words(sentence)
    candidates = [part for part in parts if f' {part.object_name} ' in text]
    colored = [part for part in candidates if f' {part.color} ' in text]
    named_color = any(f' {part.color} ' in text for part in parts)
    candidates = colored if colored or named_color else candidates
    named = [part for part in candidates if f' {part.part} ' in text]
    if not named:
        named = [part for part in candidates if any(f' {action} ' in text for action in part.actions)]
    return named[0] if len(named) == 1 else None
