# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What HandsOnVLM is asked and what it answers: templates, question forms and answer forms, verbatim.

From the official lita/constants.py, llava/conversation.py and the EPIC-KITCHENS conversations of its data reader.
"""

import re
from collections.abc import Sequence

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.conversation import TEMPLATES, Turn
from affordance_ros.models.parts.tokenizer import IMAGE_TOKEN
from affordance_ros.results import Query

HAND_TOKEN = '<hand_traj>'
HAND_STEPS = 4
LLAVA_V0 = 'llava_v0'
TEMPLATE_NAMES = (LLAVA_V0, 'vicuna_v1', 'llava_v1', 'llava_llama_2')
EXPLICIT_QUESTIONS = (  # {}: the narration, such as 'open drawer'
    'Where should my hand move to if I want to {}?',
    'Can you provide the hand trajectory for {}?',
    'What is the recommended hand movement for {}?',
)
GENERAL_QUESTIONS = (
    'Can you provide the hand trajectory?',
    'What is the recommended hand movement?',
    'What is the future hand trajectory in this video?',
    'What is the predicted hand trajectory given current observations?',
)
FOLLOW_UP_QUESTIONS = (
    'What is the recommended hand trajectory for doing this?',
    'What is the predicted hand trajectory to do it?',
    'What is the future hand trajectory for doing it?',
    'Can you provide the hand trajectory for doing this action?',
)
ACTION_QUESTIONS = (
    'What kind of action do you think are going to happen in this video?',
    'What is the predicted action in this video?',
    'What is the expected action in this video?',
)
_HANDS = HAND_TOKEN * HAND_STEPS
EXPLICIT_ANSWERS = (
    f'Certainly! The hand trajectory for {{}} is as follows: {_HANDS}.',
    f'To {{}}, the recommended hand trajectory is: {_HANDS}.',
)
GENERAL_ANSWERS = (
    f'The hand trajectory for this action is as follows: {_HANDS}.',
    f'The possible following hand trajectory may be: {_HANDS}.',
)
ACTION_ANSWERS = (  # {}: narration, and the noun in the second gap of the last one
    'The predicted action in this video is {}.',
    'The expected action in this video is {}.',
    'The action that is going to happen in this video is {}. Because there are {} in the video.',
)
_MARKUP = re.compile(r'<image>|<hand_traj>|<t\d{1,2}>|</?s>|<unk>|###')
_QUESTION = re.compile(r'\?\s*$')


def render(template: str, turns: Sequence[Turn]) -> str:
    """Return the prompt of a conversation; the first question should hold `<image>`."""
    if template != LLAVA_V0:
        return TEMPLATES[template].render(turns)
    text = TEMPLATES['llava_v1'].system + '###'
    for question, answer in turns:
        text += f'Human: {question}###Assistant:'
        if answer is not None:
            text += f' {answer}###'
    return text


def clean_text(text: str) -> str:
    """Return a user's text without what the model would take for its own tokens."""
    while (cleaned := _MARKUP.sub(' ', text)) != text:
        text = cleaned
    return ' '.join(text.split())


def narration_of(query: Query) -> str:
    """Return the action that a query names, such as 'open drawer', or '' for a question in free words."""
    text = clean_text(query.text)
    if text:
        return '' if _QUESTION.search(text) else text.rstrip('.! ')
    thing = clean_text(query.object)
    return f'{clean_text(query.action) or "reach"} {thing}' if thing else ''


def build_question(query: Query) -> str:
    """Return the question for a query: a question stays as it is, an action is put into the first trained form."""
    narration = narration_of(query)
    question = EXPLICIT_QUESTIONS[0].format(narration) if narration else clean_text(query.text)
    if not question:
        raise AffordanceError(Code.BAD_INPUT, "the sentence holds nothing but the model's own tokens; ask in words")
    return question


def with_image(question: str) -> str:
    """Return a user message that begins with the clip."""
    return f'{IMAGE_TOKEN}\n{question}'


def forced_answer(narration: str) -> str:
    """Return the trained answer to a query with a narration, or to one without ('')."""
    return EXPLICIT_ANSWERS[0].format(narration) if narration else GENERAL_ANSWERS[0]
