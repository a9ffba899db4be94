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
_BRACKETS = {'json': ('[', ']'), 'point_tag': ('<point>[', ']</point>'), 'list': ('[', ']')}  # around the places
_LEAST_WORDS = 32  # of a thought, where the room is small


def dialect_grammar(dialect: Dialect, ask: Ask, limits: tuple[int, int] | None, max_new_tokens: int) -> Grammar | None:
    """Return the grammar of what follows `dialect.begun`, None for an answer in words.

    limits: largest x and y that lie in the image, None: numbers are shares of its sides.
    """
    if ask.result == 'text':
        return None
    begun, (opening, closing) = dialect.begun, _BRACKETS[dialect.form]
    tagged = '<answer>' in begun
    tail = closing + ('</answer>' if dialect.thinks or tagged else '')
    head = '<think></think><answer>' if dialect.thinks else begun.partition('<answer>')[0] + '<answer>' * tagged
    room = max_new_tokens - 1 - len(head) - len(opening) - len(tail) - (_LEAST_WORDS if dialect.thinks else 0)
    places = _places(dialect, ask, limits, room)
    if dialect.thinks:
        first = ['<think>'] if not begun else []
        words = Words(room - places.longest + _LEAST_WORDS)
        grammar = grammar_of(*first, words, sequence('</think><answer>' + opening, places, tail))
    else:
        grammar = grammar_of(sequence((head + opening).removeprefix(begun), places, tail))
    if ask.field == 'box' and limits is not None:
        box = '"bbox_2d": [' if dialect.form == 'json' else opening
        after = '</think><answer>' if dialect.thinks else ''
        grammar = replace(grammar, possible=corners_in_order(box, limits, after=after))
    return grammar


def _places(dialect: Dialect, ask: Ask, limits: tuple[int, int] | None, room: int) -> Pattern:
    """Return the places between the brackets: none, or as many as fit into `room` tokens, at least two of a path."""
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
    least = 2 if ask.result == 'trace' else 1
    most = max(least, min(MOST_PLACES, most_repetitions(room, 0, item, ', ')))
    some = repeated(item, least, most, ', ')
    return Pattern(f'({some.regex})?', some.longest)  # or none at all
