# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How checkpoints of the Qwen-VL family are asked for places and what their answers look like: one dialect each.

The networks are the same; the unit of the coordinates, the brackets around them and the wording are not. Official
wordings are verbatim and name their source; the others are this project's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from affordance_ros.models.parts.qwen_tokenizer import END_OF_TURN, chatml

# resized: pixels of the image that the network saw. original: pixels of the camera image. thousand: 0 to 1000 along
# each side. unit: 0 to 1 along each side.
COORDINATES = ('resized', 'original', 'thousand', 'unit')
# json: objects with point_2d or bbox_2d. point_tag: <point>[[x, y], ...]</point>. list: [(x, y), ...] or [x, y, x, y].
FORMS = ('json', 'point_tag', 'list')
RESULTS = ('places', 'trace', 'text')
SYSTEM = 'You are a helpful assistant.'


@dataclass(frozen=True)
class Ask:
    """text: the question, with {text} where the user's sentence stands. result: one of RESULTS.

    field: what a JSON answer or a grammar is about, 'point' or 'box'.
    """

    text: str
    result: str = 'places'
    field: str = 'point'


@dataclass(frozen=True)
class Dialect:
    """begun: what an answer is made to begin with. quick: the same without thinking, None: it always thinks or never.

    system: of the chat, None: no such turn. repetition_penalty: None: what the checkpoint says.
    """

    name: str
    coordinates: str
    form: str
    asks: Mapping[str, Ask]
    default: str = 'points'
    system: str | None = SYSTEM
    begun: str = ''
    quick: str | None = None
    thinks: bool = False
    max_new_tokens: int = 512
    repetition_penalty: float | None = None
    notes: str = field(default='', compare=False)

    def __post_init__(self) -> None:
        known = self.coordinates in COORDINATES and self.form in FORMS and self.default in self.asks
        if not known or any(ask.result not in RESULTS for ask in self.asks.values()):
            raise ValueError(f'dialect {self.name} is not well formed')

    def render(self, message: str) -> str:
        """Return the whole prompt of a user's message, up to where the answer begins."""
        if self.system is not None:
            return chatml(message, self.system)
        return f'<|im_start|>user\n{message}{END_OF_TURN}\n<|im_start|>assistant\n'


_TEXT = Ask('{text}', 'text')
_JSON_ASKS = {
    'points': Ask('{text}\nAnswer with points only, in JSON format: [{"point_2d": [x, y], "label": "name"}].'),
    'boxes': Ask(
        '{text}\nAnswer with bounding boxes only, in JSON format: [{"bbox_2d": [x1, y1, x2, y2], "label": "name"}].',
        field='box',
    ),
    'trace': Ask(
        '{text}\nAnswer with the waypoints of the motion in their order, in JSON format: '
        '[{"point_2d": [x, y], "label": "name"}].',
        'trace',
    ),
    'text': _TEXT,
}
# pickxiguapi/Embodied-R1, inference_example.py
_R1_ANSWER = (
    'You FIRST think about the reasoning process as an internal monologue and then provide the final answer. '
    'The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags. '
    'The answer consists only of several coordinate points, with the overall format being: '
    '<think> reasoning process here </think><answer><point>[[x1, y1], [x2, y2], ...]</point></answer>'
)
_R1_FORMAT = 'The results are presented in a format <point>[[x1,y1], [x2,y2], ...]</point>. '
_R1_ROBOT = 'You are currently a robot performing robotic manipulation tasks. The task instruction is: {text}. '
_EMBODIED_R1_ASKS = {
    'points': Ask(f'Provide one or more points coordinate of objects region {{text}}. {_R1_FORMAT}{_R1_ANSWER}'),
    'contact': Ask(
        'Please provide the 2D points coordinate of the region this sentence describes: {text}. '
        f'{_R1_FORMAT}{_R1_ANSWER}'
    ),
    'place': Ask(
        f'{_R1_ROBOT}Use 2D points to mark the target location where the object you need to manipulate in the task '
        f'should ultimately be moved. {_R1_ANSWER}'
    ),
    'trace': Ask(
        f'{_R1_ROBOT}Use 2D points to mark the manipulated object-centric waypoints to guide the robot to successfully '
        'complete the task. You must provide the points in the order of the trajectory, and the number of points must '
        f'be 8. {_R1_ANSWER.replace("...]</point></answer>", "..., [x8, y8]]</point></answer>.")}',
        'trace',
    ),
    'text': _TEXT,
}
# FlagOpen/RoboBrain2.0, inference.py
_BRAIN_ROBOT = 'You are a robot using the joint control. The task is "{text}". Please predict '
_ROBOBRAIN_ASKS = {
    'points': Ask(
        '{text}. Your answer should be formatted as a list of tuples, i.e. [(x1, y1), (x2, y2), ...], where each tuple '
        'contains the x and y coordinates of a point satisfying the conditions above. The coordinates should indicate '
        'the normalized pixel locations of the points in the image.'
    ),
    'contact': Ask(f'{_BRAIN_ROBOT}a possible affordance area of the end effector.', field='box'),
    'trace': Ask(
        f'{_BRAIN_ROBOT}up to 10 key trajectory points to complete the task. Your answer should be formatted as a list '
        'of tuples, i.e. [[x1, y1], [x2, y2], ...], where each tuple contains the x and y coordinates of a point.',
        'trace',
    ),
    'boxes': Ask(
        'Please provide the bounding box coordinate of the region this sentence describes: {text}.', field='box'
    ),
    'text': _TEXT,
}
_UNIT_ASKS = {
    'points': Ask(
        '{text} Your answer should be formatted as a list of tuples, i.e. [(x1, y1), (x2, y2), ...], where each tuple '
        'contains the x and y coordinates of a point between 0 and 1.'
    ),
    'trace': Ask(
        '{text} Answer with the waypoints of the motion in their order, as a list of tuples [(x1, y1), (x2, y2), ...] '
        'of coordinates between 0 and 1.',
        'trace',
    ),
    'text': _TEXT,
}

_ALL = (
    Dialect('qwen2_5_vl', 'resized', 'json', _JSON_ASKS),
    Dialect('qwen3_vl', 'thousand', 'json', _JSON_ASKS, system=None),
    Dialect(
        'embodied_r1', 'resized', 'point_tag', _EMBODIED_R1_ASKS, quick='<answer><point>[', thinks=True,
        max_new_tokens=4096, repetition_penalty=1.05,
        notes='the official programs take the numbers for pixels of the original image; the network sees the resized '
        'one, and both differ by less than one visual token per side unless the image is outside the size limits',
    ),
    Dialect(
        'robobrain2', 'resized', 'list', _ROBOBRAIN_ASKS, begun='<think>', quick='<think></think><answer>', thinks=True,
        max_new_tokens=768,
        notes='the 7B and 32B releases; the official programs sample at temperature 0.7',
    ),
    # The 3B release does not think, and nothing is put behind its prompt.
    Dialect('robobrain2_3b', 'resized', 'list', _ROBOBRAIN_ASKS, max_new_tokens=768),
    Dialect('unit_points', 'unit', 'list', _UNIT_ASKS),
)  # fmt: skip
DIALECTS = {dialect.name: dialect for dialect in _ALL}
OF_FAMILY = {'qwen2_5_vl': 'qwen2_5_vl', 'qwen3_vl': 'qwen3_vl', 'qwen3_vl_moe': 'qwen3_vl'}
