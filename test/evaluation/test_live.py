# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the nodes answer becomes the files of a replay: messages read back, dropped frames counted, ends told."""

import base64
import json

import numpy as np
import pytest

from affordance_ros.bags import look_into, typestore
from affordance_ros.bags.messages import header, make
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.live import LiveAsker, RealTime, asked_from, evaluate_in_real_time, query_fields
from affordance_ros.evaluation.records import RunFolder
from affordance_ros.evaluation.replay import ReplaySettings
from affordance_ros.evaluation.run import Evaluation, evaluate_with
from affordance_ros.evaluation.selection import FrameChoice
from affordance_ros.evaluation.synthetic_bags import START_NS, BagRecipe, write_synthetic_bag
from affordance_ros.models.base import ModelInfo
from affordance_ros.results import Frame, Query
from affordance_ros.scenes import sample_scene

INFO = ModelInfo('fake', 0, 'float32', 'cpu', 0, '', '', '')
FRAME = Frame(np.zeros((4, 6, 3), np.uint8), frame_id='camera')
QUERY = Query('grasp the mug')
STEP_NS = 100_000_000


def coded(message):
    return base64.b64encode(bytes(typestore().serialize_cdr(message, message.__msgtype__))).decode()


def reply(code=0, heatmaps=(), frame_id='camera', **affordance):
    """Return the line of a driver for an answer without targets."""
    head = header(START_NS, frame_id)
    said = make('affordance_ros/msg/Affordance', query=QUERY.text, has_heatmap=bool(heatmaps), **affordance)
    stage = make('affordance_ros/msg/StageTime', stage='model', seconds=0.2)
    answer = make('affordance_ros/msg/AffordanceArray', header=head, model='fake', affordances=[said], stages=[stage])
    outcome = make('affordance_ros/msg/Outcome', code=code, message='why' if code else '')
    age = make('builtin_interfaces/msg/Duration', sec=0, nanosec=250_000_000)
    targets = make('affordance_ros/msg/GraspTargetArray', header=head, model='fake', outcome=outcome, image_age=age)
    lines = {'targets': coded(targets), 'answer': coded(answer), 'heatmaps': [coded(item) for item in heatmaps]}
    return {'seconds': 0.5, **lines}


class Script:
    """A driver that says what it was given, and keeps what it was told."""

    def __init__(self, *lines):
        self.lines, self.told = list(lines), []

    def tell(self, order):
        self.told.append(order)

    def hear(self):
        line = self.lines.pop(0)
        if isinstance(line, Exception):
            raise line
        return json.loads(json.dumps(line))


def test_every_kind_of_answer_is_read_back():
    mask = make('affordance_ros/msg/Mask2D', width=6, height=4, runs=np.array([7, 2, 15], np.uint32), score=0.5)
    times, path = np.array([0.25, 0.5]), np.array([1.0, 2.0])
    hand = make('affordance_ros/msg/HandTrajectory', side=1, presence=2, times_s=times, u=path, v=path + 1)
    grey = np.full((4, 6), 65535, '<u2')
    image = make(
        'sensor_msgs/msg/Image', width=6, height=4, step=12, encoding='mono16', data=grey.view(np.uint8).ravel()
    )
    box = make('affordance_ros/msg/Box2D', u_min=1.0, v_min=2.0, u_max=3.0, v_max=4.0, score=0.5, label='mug')
    trace = make('affordance_ros/msg/Trace2D', u=path, v=path)
    line = reply(heatmaps=[image], masks=[mask], hands=[hand], boxes=[box], traces=[trace], text='yes', confidence=0.5)
    asked = asked_from(line, FRAME, QUERY)
    said = asked.answer.prediction
    assert said.query == QUERY
    assert said.keypoints is None
    assert np.argwhere(said.masks.masks[0]).tolist() == [[1, 1], [1, 2]]
    assert said.hands[0].side == 'left'
    assert said.hands[0].present is False
    assert said.hands[0].points.tolist() == [[1, 2], [2, 3]]
    assert np.asarray(said.heatmap.values).min() == 1.0
    assert said.boxes.boxes.tolist() == [[1, 2, 3, 4]]
    assert said.traces[0].points.tolist() == [[1, 1], [2, 2]]
    assert (asked.total_s, asked.image_age_s, asked.seconds['model']) == (0.5, 0.25, pytest.approx(0.2))


def test_nothing_found_is_no_answer_in_words():
    nothing = asked_from(reply(code=int(Code.EMPTY_MODEL_OUTPUT)), FRAME, QUERY).answer
    assert len(nothing.prediction.keypoints) == 0
    assert [item.code for item in nothing.abstentions] == [Code.EMPTY_MODEL_OUTPUT]
    words = asked_from(reply(text='B'), FRAME, QUERY).answer
    assert words.prediction.in_words


def test_an_answer_in_a_frame_that_nobody_knows_is_refused():
    with pytest.raises(AffordanceError, match="in 'moon'") as caught:
        asked_from(reply(frame_id='moon'), FRAME, QUERY)
    assert caught.value.code == Code.TF


def test_only_what_is_set_of_a_question_is_sent():
    assert query_fields(Query(object='mug', action='lift', options=('a', 'b'))) == {
        'object': 'mug',
        'action': 'lift',
        'options': ['a', 'b'],
    }


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Four frames; the stamps of the first two come again."""
    folder = tmp_path_factory.mktemp('live')
    write_synthetic_bag(folder, sample_scene(3, 'pocket'), BagRecipe(frames=4, loop=True, turn_deg=5.0))
    return folder / 'bag'


def evaluation(bag, out, **more):
    topics = look_into(bag).topics
    settings = ReplaySettings(bag, (QUERY, Query('x')), topics=topics, overlays=False, views=False, **more)
    return Evaluation(settings, out)


def refusal(code='NO_IMAGE'):
    return {'seconds': 0.1, 'code': code, 'text': 'no'}


def test_one_frame_at_a_time_shows_each_once_and_asks_after_it(bag, tmp_path):
    shown, not_shown = {'shown': True}, {'shown': False, 'code': 'NO_DEPTH', 'text': 'no depth'}
    answers = [shown, refusal(), refusal('TIMEOUT')]
    script = Script(*answers, not_shown, *answers, *answers)
    evaluate_with(evaluation(bag, tmp_path / 'out'), LiveAsker(script, INFO, 3.0))
    shows = [(order['stamp_ns'], order['nth']) for order in script.told if order['do'] == 'show']
    assert shows == [(START_NS, 0), (START_NS + STEP_NS, 0), (START_NS, 1), (START_NS + STEP_NS, 1)]
    asks = [order for order in script.told if order['do'] == 'ask']
    assert len(asks) == 6
    assert asks[0] == {'do': 'ask', 'query': {'text': QUERY.text}, 'timeout_s': 3.0}
    outcomes = [line['outcome'] for line in RunFolder(tmp_path / 'out').answers()]
    assert outcomes == ['NO_IMAGE', 'TIMEOUT', 'NO_DEPTH', 'NO_DEPTH', 'NO_IMAGE', 'TIMEOUT', 'NO_IMAGE', 'TIMEOUT']
    assert json.loads((tmp_path / 'out' / 'metrics.json').read_text())['timeouts'] == 3


def test_a_driver_that_ends_ends_the_run_and_leaves_no_answer(bag, tmp_path):
    script = Script({'shown': True}, refusal(), AffordanceError(Code.INTERNAL, 'affordance_node ended with status 1'))
    with pytest.raises(AffordanceError, match='ended with status 1') as caught:
        evaluate_with(evaluation(bag, tmp_path / 'out'), LiveAsker(script, INFO, 3.0))
    assert caught.value.code == Code.WORKER_DIED
    assert len(list(RunFolder(tmp_path / 'out').answers())) == 1


def test_in_real_time_answers_find_their_frames_and_the_rest_dropped(bag, tmp_path):
    lines = [{'stamp_ns': START_NS, 'nth': nth, 'prompt': nth, **refusal()} for nth in (0, 1)]
    script = Script(*lines, {'played': {'images': 4, 'late_s': 0.0}})
    evaluate_in_real_time(evaluation(bag, tmp_path / 'out'), script, INFO, RealTime(2.0, 3.0))
    assert script.told[0]['rate'] == 2.0
    found = [(line['frame_index'], line['prompt']) for line in RunFolder(tmp_path / 'out').answers()]
    assert found == [(0, 0), (2, 1)]
    frames = json.loads((tmp_path / 'out' / 'metrics.json').read_text())['frames']
    assert (frames['in_bag'], frames['asked'], frames['dropped']) == (4, 2, 2)


def test_real_time_plays_the_whole_bag(bag, tmp_path):
    asked = evaluation(bag, tmp_path / 'out', choice=FrameChoice.parse('every:2'))
    with pytest.raises(AffordanceError, match='no --frames'):
        evaluate_in_real_time(asked, Script(), INFO, RealTime())
    with pytest.raises(AffordanceError, match='above 0'):
        RealTime(rate=0.0)
