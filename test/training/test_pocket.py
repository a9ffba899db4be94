# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pocket training: packed questions equal single ones, the run resumes, it writes an official checkpoint."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from affordance_ros.datasets.scene_views import load_shards, render_views
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import load_model
from affordance_ros.results import Query
from affordance_ros.scenes import sample_scene
from affordance_ros.training.loop import schedule
from affordance_ros.training.pocket_data import TurnWriter, dense_labels, draw_turns, draw_views, pack_turns, pixels_of
from affordance_ros.training.pocket_net import PocketNet
from affordance_ros.training.pocket_tokenizer import pocket_sentences, train_tokenizer
from affordance_ros.training.recipes import RECIPES, Stage
from affordance_ros.training.run import train, write_checkpoint

SMOKE = RECIPES['smoke']


@pytest.fixture(scope='module')
def tokenizer() -> bytes:
    return train_tokenizer(pocket_sentences(20), 420)


@pytest.fixture(scope='module')
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('views')
    list(render_views(folder, 0, 6, size=SMOKE.tower.image_px))
    return folder


def test_an_answer_is_ten_tokens_and_reads_back(tokenizer: bytes) -> None:
    writer = TurnWriter(tokenizer)
    ids, weights = writer.answer(np.array([0.4614, 0.9999], np.float32))
    assert len(ids) == len(weights) == 10
    assert writer.processor.decode(ids).strip() == '[(0.461, 0.999)]'
    assert ids[-1] == 2


def test_the_tokenizer_writes_prompts_as_the_trainer_does(tokenizer: bytes) -> None:
    writer = TurnWriter(tokenizer)
    question = writer.question('grasp the red mug')
    answer, _ = writer.answer(np.array([0.25, 0.5], np.float32))
    whole = writer.processor.encode(writer.processor.decode(question) + ' [(0.250, 0.500)]')
    assert whole[-len(answer) + 1 :] == answer[:-1]
    assert len(question) < 30


def test_packed_questions_are_blind_to_each_other(tokenizer: bytes, views: Path) -> None:
    writer = TurnWriter(tokenizer)
    torch.manual_seed(0)
    net = PocketNet(SMOKE, writer.vocabulary).eval()
    drawn = draw_views(load_shards(views), 1, np.random.default_rng(0))
    batch = pack_turns(drawn, writer, SMOKE.tower, 3, np.random.default_rng(1))
    start = len(writer.head) + SMOKE.tower.grid**2
    embeddings = net.language.model.embed_tokens(batch['ids'])
    with torch.no_grad():
        packed = net.language.model(
            inputs_embeds=embeddings, attention_mask=batch['mask'], position_ids=batch['positions']
        ).last_hidden_state
        turns = batch['positions'][0, start:].eq(start).nonzero().flatten().tolist() + [batch['ids'].shape[1] - start]
        for begin, end in zip(turns[:-1], turns[1:], strict=True):
            alone = torch.cat((embeddings[:, :start], embeddings[:, start + begin : start + end]), dim=1)
            single = net.language.model(inputs_embeds=alone).last_hidden_state
            torch.testing.assert_close(packed[:, start + begin : start + end], single[:, start:], atol=1e-5, rtol=0)


def test_labels_follow_the_mirror(views: Path) -> None:
    shards = load_shards(views)
    drawn = draw_views(shards, 30, np.random.default_rng(3))
    mirrored = next(view for view in drawn if view.mirrored)
    straight = replace(
        mirrored, mirrored=False, slots=mirrored.slots[:, ::-1], points=mirrored.points * (-1, 1) + (1, 0)
    )
    cells = [dense_labels([view], SMOKE.tower)[0].view(4, 4, 4, 4) for view in (mirrored, straight)]
    flipped = cells[1].flip(1).flip(3)
    assert (cells[0] == flipped).float().mean() > 0.97
    for view in (mirrored, straight):
        height, width = view.slots.shape
        for slot in np.flatnonzero(np.isfinite(view.points[:, 0])):
            u, v = view.points[slot] * (width, height)
            assert view.slots[int(v), min(int(u), width - 1)] == slot + 1
    assert pixels_of(drawn[:2], np.random.default_rng(0)).shape == (2, 3, 64, 64)


def test_questions_name_visible_parts_only(views: Path) -> None:
    for view in draw_views(load_shards(views), 10, np.random.default_rng(5)):
        for part_id, sentence in draw_turns(view, 4, np.random.default_rng(6)):
            assert view.shard.areas[view.index, part_id - 1] >= 40
            plain = sentence.rstrip('.')
            known = view.shard.sentences(view.index, part_id)
            assert plain in known or plain[0].lower() + plain[1:] in known


def test_the_schedule_warms_up_and_ends_low() -> None:
    stage = Stage(steps=100, images=1, learning_rate=1, warm_up=10)
    assert schedule(0, stage) == pytest.approx(0.1)
    assert schedule(10, stage) == pytest.approx(1.0)
    assert schedule(100, stage) == pytest.approx(0.02)


def test_a_run_resumes_and_writes_an_official_checkpoint(tmp_path: Path) -> None:
    score = train('robopoint', 'smoke', tmp_path / 'run', processes=1, scenes=2)
    assert score.asked == 2
    out = tmp_path / 'run'
    steps = [json.loads(line) for line in (out / 'log.jsonl').read_text().splitlines()]
    assert [entry['stage'] for entry in steps] == ['perception', 'answers']
    assert json.loads((out / 'evaluation.json').read_text())['asked'] == 2

    with pytest.raises(AffordanceError, match='not empty') as refused:
        train('robopoint', 'smoke', out)
    assert refused.value.code == Code.BAD_INPUT

    state = torch.load(out / 'state.pt', weights_only=True)
    torch.save(state | {'step': 2}, out / 'state.pt')  # as if it had been cut off
    train('robopoint', 'smoke', out, resume=True, processes=1, scenes=1)
    again = torch.load(out / 'state.pt', weights_only=True)
    assert (again['stage'], again['step']) == ('answers', SMOKE.answers.steps)


def test_random_weights_load_and_their_text_is_refused(tmp_path: Path, tokenizer: bytes) -> None:
    (tmp_path / 'tokenizer.model').write_bytes(tokenizer)
    writer = TurnWriter(tokenizer)
    torch.manual_seed(1)
    net = PocketNet(SMOKE, writer.vocabulary).half().float().eval()
    torch.save({'net': net.state_dict()}, tmp_path / 'state.pt')
    model = load_model('robopoint', checkpoint=str(write_checkpoint(SMOKE, tmp_path)), max_new_tokens=4)
    frame = sample_scene(0, 'pocket').render().frame
    with pytest.raises(AffordanceError) as unreadable:  # random weights write no point
        model.predict(frame, Query(text='grasp the mug'))
    assert unreadable.value.code == Code.UNPARSABLE_ANSWER


@pytest.mark.parametrize(
    ('model', 'recipe', 'code'), [('glover', 'pocket', Code.UNKNOWN_MODEL), ('robopoint', 'huge', Code.BAD_INPUT)]
)
def test_a_wrong_name_is_refused(tmp_path: Path, model: str, recipe: str, code: Code) -> None:
    with pytest.raises(AffordanceError) as refused:
        train(model, recipe, tmp_path / 'new')
    assert refused.value.code == code
    assert not (tmp_path / 'new').exists()
