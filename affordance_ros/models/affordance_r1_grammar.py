# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The answer format of Affordance-R1 as a grammar: thoughts of bounded length, then a JSON list of bounded length."""

from dataclasses import replace

from affordance_ros.models.parts.grammar import (
    Grammar,
    Pattern,
    Words,
    corners_in_order,
    grammar_of,
    most_repetitions,
    number_up_to,
    repeated,
    sequence,
)

MOST_ITEMS = 8
_PIXEL = number_up_to(840)  # of the 840 x 840 image
_VERB = Pattern('[a-z][a-z -]{0,23}', 24)
_ITEM = sequence(
    '{"bbox_2d": [', _PIXEL, ',', _PIXEL, ',', _PIXEL, ',', _PIXEL,
    '], "point_2d": [', _PIXEL, ',', _PIXEL, '], "affordance": "', _VERB, '"}',
)  # fmt: skip
_BOX = '"bbox_2d": [', (840, 840)
# What may stand between two tags: the model was shown a comma or nothing, and is seen to write an empty line.
_BETWEEN = Pattern(r'(,| ?\n{1,2})?', 3)
_RETHINK, _ANSWER = sequence('</think>', _BETWEEN, '<rethink>'), sequence('</rethink>', _BETWEEN, '<answer>[')
_OPENING, _CLOSING = '<think>', ']</answer>'
_THINKING_SHARE, _FIRST_SHARE = 0.5, 0.6  # of the tokens for both thoughts; of those for the first one


def answer_grammar(max_new_tokens: int, *, thinking: bool = True) -> Grammar:
    """Return the grammar of an answer that surely fits into `max_new_tokens`, the closing token included.

    thinking: with both thoughts; else only the list and its closing tag, for a prompt that ends with '<answer>['.
    """
    tags = len(_OPENING) + _RETHINK.longest + _ANSWER.longest if thinking else 0
    room = max_new_tokens - 1 - tags - len(_CLOSING)
    listed = int(room * (1 - _THINKING_SHARE)) if thinking else room
    most = max(1, min(MOST_ITEMS, most_repetitions(listed, 0, _ITEM, ', ')))
    items = repeated(_ITEM, 0, most, ', ')
    if not thinking:
        return replace(grammar_of(sequence(items, _CLOSING)), possible=corners_in_order(*_BOX))
    words = max(2, room - items.longest)
    first = int(words * _FIRST_SHARE)
    whole = grammar_of(
        _OPENING, Words(first), _RETHINK, Words(words - first), sequence(_ANSWER, items, _CLOSING)
    )  # fmt: skip
    return replace(whole, possible=corners_in_order(*_BOX, after='<answer>['))
