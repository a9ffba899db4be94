# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the programs of Affordance-R1 ask: four official profiles and two of ours, as data.

The official texts are verbatim, with their missing blanks, their 'tpye(s)' and, in `infer.py`, an example that is no
valid JSON: hq-King/Affordance-R1 at d040e27, `training_scripts` (rl_dataset.py), `inference_scripts/infer.py`,
`evaluation_scripts/evaluation_aff_r1.py` and `zero_shot.py`.
"""

from dataclasses import dataclass

from affordance_ros.models.affordance_r1_official import SIDE
from affordance_ros.models.parts.decoding import DecodeSettings
from affordance_ros.models.parts.qwen_tokenizer import chatml
from affordance_ros.models.parts.qwen_vl_asking import IMAGE
from affordance_ros.results import Query

__all__ = ['PROFILES', 'SIDE', 'Profile']

_BODY = (
    'Please answer "{question}" with bboxs and points.Analyze the functional properties of specific parts of each '
    'object in the image and carefully find all the part(s) that matches the problem.Output the thinking process in '
    '<think> </think>, rethinking process in <rethink> </rethink> and final answer in <answer> </answer> tags.Output '
    'the bbox(es) and point(s) and affordance tpye(s) inside the interested object(s) in JSON format.'
)
_COMMA_TAIL = (
    'i.e., <think> thinking process here </think>,<rethink> rethinking process here </rethink>,'
    '<answer>{example}</answer>'
)
_PLAIN_TAIL = _COMMA_TAIL.replace('>,<', '><')
_EXAMPLE = (
    '[{"bbox_2d": [10,100,200,210], "point_2d": [30,110], "affordance": "hold"}, '
    '{"bbox_2d": [225,296,706,786], "point_2d": [302,410], "affordance": "grasp"}]'
)
_BROKEN_EXAMPLE = (
    '[{"bbox_2d": [10,100,200,210], "point_2d": [30,110]}, '
    '{"bbox_2d": [225,296,706,786], "point_2d": [302,410], "affordance": "grasp"]'
)
# zero_shot.py asks this of a data set's object and action.
_OBJECT_QUESTION = 'What part of the {object} should we interact with in order to {action} it?'


@dataclass(frozen=True)
class Profile:
    """How one entry point asks and reads.

    stripped: characters cut off both ends of the question. newline: behind the image. strict: answers are read as the
    official parser does. begun: what the answer is made to begin with.
    """

    tail: str
    example: str
    stripped: str
    newline: bool
    strict: bool
    decode: DecodeSettings = DecodeSettings(max_new_tokens=1024)
    begun: str = ''

    def question(self, query: Query) -> str:
        """Return the question of a query, as the model was trained to see it: lower case, no closing stop."""
        text = query.text.strip()
        if not text:
            action = query.action.strip() or 'use'
            text = _OBJECT_QUESTION.format(object=query.object.strip(), action=action)
        return text.lower().strip(self.stripped)

    def prompt(self, question: str) -> str:
        """Return the whole prompt of a question from `question()`, with one image."""
        text = _BODY.replace('{question}', question) + self.tail.replace('{example}', self.example)
        return chatml(IMAGE + ('\n' if self.newline else '') + text)

    def free_prompt(self, text: str) -> str:
        """Return the prompt of a free question: nothing is added to it."""
        return chatml(IMAGE + ('\n' if self.newline else '') + text)


PROFILES = {
    # The prompt of the training; answers are read with tolerance.
    'robot': Profile(_COMMA_TAIL, _EXAMPLE, '.', newline=True, strict=False),
    # The same without thinking: the answer begins at once.
    'fast': Profile(
        _COMMA_TAIL, _EXAMPLE, '.', newline=True, strict=False,
        decode=DecodeSettings(max_new_tokens=384), begun='<answer>[',
    ),
    'train': Profile(_COMMA_TAIL, _EXAMPLE, '.', newline=True, strict=True),
    'infer': Profile(_COMMA_TAIL, _BROKEN_EXAMPLE, '.', newline=False, strict=True),
    'eval': Profile(_PLAIN_TAIL, _EXAMPLE, '."?!', newline=False, strict=True),
    'zeroshot': Profile(_PLAIN_TAIL, _EXAMPLE, '.', newline=False, strict=True),
}  # fmt: skip
