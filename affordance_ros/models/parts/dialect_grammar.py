# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The answers of every dialect of the Qwen-VL family as grammars: what `dialect_answers` reads without a repair."""

from dataclasses import replace

from affordance_ros.models.parts.answer_dialects import Ask, Dialect
from affordance_ros.models.parts.grammar import (
    Grammar,
    Pattern,
    Words,
    corners_in_order,
    digits,
    either,
    grammar_of,
    most_repetitions,
    number_up_to,
    repeated,
    sequence,
)

MOST_PLACES = 16
_FRACTION = either(sequence('0.', digits(1, 3)), sequence('1.', Pattern('0{1,3}', 3)))
_LABEL = Pattern('[A-Za-z][A-Za-z0-9 -]{0,31}', 32)
_COMMA = Pattern(', ?', 2)
_LEAST_WORDS = 32  # of a thought, where the room is small


def dialect_grammar(
    dialect: Dialect, ask: Ask, limits: tuple[int, int] | None, begun: str, max_new_tokens: int
) -> Grammar | None:
    """Return the grammar of what follows `begun`, None for an answer in words.

    limits: largest x and y that lie in the image, None: numbers are shares of its sides.
    """
    if ask.result == 'text':
        return None
    opening, closing = _around(dialect)
    tail = closing + ('</answer>' if dialect.thinks else '')
    thinking = dialect.thinks and '<answer>' not in begun
    head = '<think></think><answer>' if thinking else begun.partition('<answer>')[0] + '<answer>'
    before = (head + opening if dialect.thinks else opening) if thinking or not dialect.thinks else head + opening
    room = max_new_tokens - 1 - len(before) - len(tail) - (_LEAST_WORDS if thinking else 0)
    places = _places(dialect, ask, limits, room)
    possible = None
    if ask.field == 'box' and limits is not None:
        box = '"bbox_2d": [' if dialect.form == 'json' else opening
        possible = corners_in_order(box, limits, after='</think><answer>' if thinking else '')
    if not thinking:
        grammar = grammar_of(sequence(before.removeprefix(begun), places, tail))
    else:
        words = Words(room - places.longest + _LEAST_WORDS)
        grammar = grammar_of(
            *(['<think>'] if not begun else []), words, sequence('</think><answer>' + opening, places, tail)
        )
    return replace(grammar, possible=possible)


def _around(dialect: Dialect) -> tuple[str, str]:
    """Return what stands before and after the places."""
    return {'json': ('[', ']'), 'point_tag': ('<point>[', ']</point>'), 'list': ('[', ']')}[dialect.form]


def _places(dialect: Dialect, ask: Ask, limits: tuple[int, int] | None, room: int) -> Pattern:
    """Return the places between the brackets: none to `MOST_PLACES`, as many as fit into `room` tokens."""
    x, y = (_FRACTION, _FRACTION) if limits is None else (number_up_to(limits[0]), number_up_to(limits[1]))
    count = 2 if ask.field == 'box' else 1
    numbers = sequence(*([x, _COMMA, y, _COMMA] * count)[:-1])
    if dialect.form == 'json':
        key = 'bbox_2d' if ask.field == 'box' else 'point_2d'
        item = sequence('{"', key, '": [', numbers, '], "label": "', _LABEL, '"}')
    elif ask.field == 'box':
        return numbers  # a single box, its own brackets around it
    else:
        left, right = ('(', ')') if '(x1' in ask.text else ('[', ']')
        item = sequence(left, numbers, right)
    most = max(1, min(MOST_PLACES, most_repetitions(room, 0, item, ', ')))
    return repeated(item, 0, most, ', ')
