# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers written together are those written one by one, for prompts of all lengths and both families of Qwen-VL."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from tiny_qwen_vl import Tiny, write_checkpoint  # noqa: E402

from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.models.parts.batch_writing import Writer, write_batch  # noqa: E402
from affordance_ros.models.parts.decoding import DecodeSettings, Prompt, write  # noqa: E402
from affordance_ros.models.parts.qwen_vl_asking import IMAGE, Asking, Listener, QwenVLAsker  # noqa: E402
from affordance_ros.models.parts.text_options import TextOptions  # noqa: E402

SILENT = Listener(lambda _: None, None)
QUESTIONS = ('Where?', 'Where would you hold the red mug by its handle?', 'Cut', 'Find the free space on the table.')


@pytest.fixture(scope='module', params=['qwen2_5_vl', 'qwen3_vl'])
def asker(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    write_checkpoint(folder, Tiny(request.param))
    return QwenVLAsker(TextOptions(checkpoint=str(folder)), 'qwen_vl')


def images(index, count=1):
    rng = np.random.default_rng(index)
    return [rng.integers(0, 255, (56 + 28 * index, 84, 3), dtype=np.uint8) for _ in range(count)]


def askings(settings):
    """Four questions: with one image, with two, without any, with a larger one."""
    counts = (1, 2, 0, 1)
    return [
        Asking(IMAGE * count + question, images(index, count), settings)
        for index, (question, count) in enumerate(zip(QUESTIONS, counts, strict=True))
    ]


@pytest.mark.parametrize(
    'settings',
    [
        DecodeSettings(max_new_tokens=12),
        DecodeSettings(max_new_tokens=12, repetition_penalty=1.3),
        DecodeSettings(max_new_tokens=12, temperature=0.8, seed=3),
    ],
    ids=['greedy', 'penalty', 'sampled'],
)
def test_a_batch_writes_what_each_question_gets_alone(asker, settings):
    together = asker.ask_batch(askings(settings))
    for reply, asking in zip(together, askings(settings), strict=True):
        alone = asker.ask(asking, SILENT)
        assert reply.written.ids == alone.written.ids
        assert reply.text == alone.text
        assert reply.whole == alone.whole
        assert reply.sizes == alone.sizes
        assert reply.written.probabilities == pytest.approx(alone.written.probabilities, abs=1e-4)
        assert set(reply.seconds) == set(alone.seconds)


def test_texts_end_one_by_one(asker):
    """Every token of the longest answer ends some other answer, so that the batch shrinks step by step."""
    settings = DecodeSettings(max_new_tokens=12)
    prompts = [asker.prompt(each.prompt, [asker.look(rgb) for rgb in each.images]) for each in askings(settings)]
    alone = [write(asker.session(prompt), (), settings).ids for prompt in prompts]
    for ends in ({alone[0][0], alone[1][3], alone[2][6]}, {alone[3][2]}):
        text = asker.network.text
        writer = Writer(text.language_model, text.lm_head, tuple(ends), settings)
        together = write_batch(writer, prompts, [None] * len(prompts))
        for prompt, written in zip(prompts, together, strict=True):
            wanted = write(asker.session(prompt), tuple(ends), settings)
            assert written.ids == wanted.ids
            assert len(written.probabilities) == len(wanted.probabilities)
            assert written.passes == len(written.ids)


class Spelling:
    """A grammar that wants a word, then anything, then an end."""

    def __init__(self, word, end, size):
        self.word, self.end, self.size, self.ids = list(word), end, size, []

    def forced(self):
        if len(self.ids) < len(self.word):
            return self.word[len(self.ids) :]
        return [self.end] if len(self.ids) == len(self.word) + 2 else []

    def allowed(self):
        allowed = torch.zeros(self.size, dtype=torch.bool)
        allowed[5:9] = True
        return allowed

    def advance(self, ids):
        self.ids += ids


def test_grammars_hold_in_a_batch(asker):
    settings = DecodeSettings(max_new_tokens=10)
    size, end = asker.network.text.lm_head.out_features, asker.generation.eos_ids[0]
    words = ([11, 12], [], [13], [14, 15, 16])

    def guided():
        return [
            Asking(each.prompt, each.images, settings, guide=Spelling(word, end, size))
            for each, word in zip(askings(settings), words, strict=True)
        ]

    for reply, asking, word in zip(asker.ask_batch(guided()), guided(), words, strict=True):
        assert reply.written.ids == asker.ask(asking, SILENT).written.ids
        assert reply.written.ids[: len(word)] == word
        assert all(5 <= token < 9 for token in reply.written.ids[len(word) : -1])
        assert (reply.written.ids[-1], len(reply.written.probabilities)) == (end, 2)


def test_prompts_without_positions_are_padded_too(asker):
    table = asker.network.text.language_model.get_input_embeddings()
    prompts = [Prompt(table(torch.tensor([ids])).detach()) for ids in ([3, 4, 5], [7], [9, 8, 7, 6, 5])]
    settings, text = DecodeSettings(max_new_tokens=6), asker.network.text
    together = write_batch(Writer(text.language_model, text.lm_head, (), settings), prompts, [None] * 3)
    assert [each.ids for each in together] == [write(asker.session(prompt), (), settings).ids for prompt in prompts]


def test_a_stop_ends_a_batch(asker):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 7

    with pytest.raises(AffordanceError) as caught:
        asker.ask_batch(askings(DecodeSettings(max_new_tokens=12)), stop)
    assert caught.value.code == Code.CANCELED
    assert len(asked) == 8
