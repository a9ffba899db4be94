# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The answer formats of RoboInter as grammars, one per task: what `robointer_answers` reads without a repair."""

from affordance_ros.models.parts.grammar import (
    Grammar,
    Pattern,
    digits,
    either,
    grammar_of,
    number_up_to,
    repeated,
    sequence,
    whole_number,
)
from affordance_ros.models.robointer_answers import Task

MOST_WAYPOINTS = 10  # of every trace in the data set
SHARE = either(sequence('0.', digits(1, 2)), sequence('1.', Pattern('0{1,2}', 2)))  # of a side, two decimals
PIXEL = whole_number(4)
_COMMA = Pattern(', ?', 2)


def answer_grammar(
    task: Task, *, shares: bool, options: int = 4, limits: tuple[int, int] | None = None
) -> Grammar | None:
    """Return the grammar of a task, None for a plan, which is free text.

    shares: numbers are shares of the sides, else pixels. options: how many a choice has. limits: largest x and y in
    pixels, None: whatever four digits can say.
    """
    if task.kind == 'choice':
        return grammar_of(Pattern(f'[A-{"ABCD"[options - 1]}]', 1))
    if task.kind == 'decide':
        return grammar_of(either('Yes', 'No'))
    if task.kind == 'text':
        return None
    x, y = [SHARE if shares else PIXEL] * 2 if limits is None else [number_up_to(limit) for limit in limits]
    pair = sequence('[', x, _COMMA, y, ']')
    if task.kind == 'trace':
        pairs = sequence(pair, repeated(sequence(_COMMA, pair), 1, MOST_WAYPOINTS - 1))
    else:
        pairs = sequence(pair, _COMMA, pair)
    return grammar_of(sequence('{"', task.key, '": [', pairs, ']}'))
