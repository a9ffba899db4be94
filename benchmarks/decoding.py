# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Free against constrained decoding: forward passes, time, and how many answers parse, on one thread.

The pocket RoboPoint (trained) and the tiny checkpoints of the tests (random weights, which hardly ever write the format
by themselves). The last table follows written answers instead of a model: how
many tokens of an answer a grammar forces, by tokenizer.
"""

import argparse
import os
import platform
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before numpy is imported

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from affordance_ros.errors import UnparsableAnswer
from affordance_ros.models import load_model
from affordance_ros.models.affordance_r1_grammar import answer_grammar as r1_grammar
from affordance_ros.models.parts.answer_dialects import DIALECTS
from affordance_ros.models.parts.dialect_grammar import dialect_grammar
from affordance_ros.models.parts.grammar import Grammar, GuideVocabulary, TokenTable
from affordance_ros.models.parts.point_answers import point_list_grammar
from affordance_ros.models.parts.qwen_guides import byte_level_table
from affordance_ros.models.parts.qwen_tokenizer import QwenTokenizer
from affordance_ros.models.parts.tokenizer import LlamaTokenizer
from affordance_ros.models.robointer_answers import BY_NAME
from affordance_ros.models.robointer_grammar import answer_grammar
from affordance_ros.results import Frame, Query
from affordance_ros.scenes import sample_scene

FIXTURES = Path(__file__).resolve().parents[1] / 'test' / 'data' / 'parity'
ROBOPOINT, ROBOINTER = FIXTURES / 'robopoint' / 'checkpoint', FIXTURES / 'robointer' / 'llavaov'
TINY = {
    'checkpoint': str(ROBOPOINT / 'robopoint-v1-vicuna-v1.5-tiny'),
    'clip': str(ROBOPOINT / 'clip-vit-tiny-patch14'),
}
INTER = {'checkpoint': str(ROBOINTER / 'checkpoint'), 'siglip': str(ROBOINTER / 'siglip-tiny-patch14-384')}
R1 = str(FIXTURES / 'affordance_r1' / 'checkpoint' / 'affordance-r1')
QWEN = {'checkpoint': str(FIXTURES / 'robointer' / 'qwen' / 'checkpoint'), 'max_new_tokens': 256}
HANDS = {
    'checkpoint': str(FIXTURES / 'handsonvlm' / 'checkpoint' / 'handsonvlm-tiny'),
    'clip': str(FIXTURES / 'handsonvlm' / 'checkpoint' / 'clip-tiny'),
}
GLOVER = {
    'checkpoint': str(FIXTURES / 'glover' / 'glover_plus' / 'checkpoint'),
    'clip': str(FIXTURES / 'glover' / 'clip-vit-tiny-patch14'),
    'max_new_tokens': 64,
}
SAMPLED = {'temperature': 1.0, 'max_new_tokens': 384}  # the likeliest answer of these weights is the empty list
QUICK = {'dialect': 'embodied_r1', 'think': False}
CASES: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ('robopoint pocket', 'robopoint', {'checkpoint': 'pocket'}, ''),
    ('robopoint tiny, random', 'robopoint', {**TINY, 'max_new_tokens': 512}, ''),
    ('robointer tiny, random: box', 'robointer', INTER, 'contact_box'),
    ('robointer tiny, random: trace', 'robointer', INTER, 'trace'),
    ('robointer_qwen tiny, random: box', 'robointer_qwen', QWEN, 'contact_box'),
    ('robointer_qwen tiny, random: trace', 'robointer_qwen', QWEN, 'trace'),
    ('robointer_qwen tiny, random: yes or no', 'robointer_qwen', QWEN, 'decide'),
    ('affordance_r1 tiny, random: fast', 'affordance_r1', {'checkpoint': R1, 'profile': 'fast', **SAMPLED}, ''),
    ('affordance_r1 tiny, random', 'affordance_r1', {'checkpoint': R1, **SAMPLED}, ''),
    ('qwen_vl tiny, random: boxes', 'qwen_vl', {'checkpoint': R1, **SAMPLED}, 'boxes'),
    ('qwen_vl tiny, random: Embodied-R1', 'qwen_vl', {'checkpoint': R1, **SAMPLED, 'dialect': 'embodied_r1'}, ''),
    ('  the same, think=False', 'qwen_vl', {'checkpoint': R1, **SAMPLED, **QUICK}, ''),
    ('qwen_vl tiny, random: RoboBrain 2', 'qwen_vl', {'checkpoint': R1, **SAMPLED, 'dialect': 'robobrain2'}, ''),
    ('handsonvlm tiny, fitted head', 'handsonvlm', HANDS, ''),
    ('glover_plus tiny, fitted head', 'glover_plus', GLOVER, ''),
)


def questions(count: int, task: str) -> Iterator[tuple[Frame, Query]]:
    """Yield one question per simulated table."""
    for seed in range(95_000_000, 95_000_000 + count):
        scene = sample_scene(seed, 'vga')
        part = scene.parts[seed % len(scene.parts)]
        yield scene.render().frame, Query(text=scene.sentences(part.id)[0], task=task)


def measure(model: Any, asked: list[tuple[Frame, Query]]) -> tuple[int, float, list[str]]:
    """Return (forward passes, CPU milliseconds per answer, texts; '' where nothing parses or no token answers).

    CPU time of one thread: other jobs on the machine don't count.
    """
    counted: list[int] = []
    decoder = model.asker.network.text.language_model if hasattr(model, 'asker') else model.network.llm.model
    hook = decoder.register_forward_hook(lambda *_: counted.append(1))
    texts = []
    start = time.process_time()
    for frame, query in asked:
        try:
            answer = model.predict(frame, query)
            texts.append('' if any('NO_ANSWER_TOKEN' in note for note in answer.repairs) else answer.text)
        except UnparsableAnswer:
            texts.append('')
    spent = time.process_time() - start
    hook.remove()
    return len(counted), 1000 * spent / len(asked), texts


def compare(count: int) -> Table:
    """Ask every checkpoint the same questions both ways."""
    table = Table('checkpoint', 'decode', 'passes per answer', 'CPU ms per answer', 'parse', 'same text')
    for title, name, options, task in CASES:
        asked = list(questions(count, task))
        texts: dict[str, list[str]] = {}
        for how in ('free', 'constrained'):
            model = load_model(name, decode=how, **options)
            with suppress(UnparsableAnswer):
                model.predict(asked[0][0], Query(text='warm up', task=task))
            passes, spent, texts[how] = measure(model, asked)
            parsed = sum(bool(text) for text in texts[how])
            both = [(free, bound) for free, bound in zip(texts['free'], texts[how], strict=True) if free]
            same = f'{sum(free == bound for free, bound in both)} of {len(both)}' if how == 'constrained' else ''
            table.add_row(
                title, how, f'{passes / count:.1f}', f'{spent:.0f}', f'{100 * parsed / count:.0f} %', same
            )  # fmt: skip
    return table


def forced_share(vocabulary: GuideVocabulary, grammar: Grammar, ids: list[int]) -> int:
    """Return how many tokens of a written answer the grammar forces."""
    guide, position, forced = vocabulary.guide(grammar, torch.device('cpu')), 0, 0
    while position < len(ids):
        new = guide.forced()
        forced += len(new)
        new = new or [ids[position]]
        guide.advance(new)
        position += len(new)
    return forced


def byte_level_answers(rng: np.random.Generator) -> Iterator[tuple[QwenTokenizer, str, str, Grammar]]:
    """Yield tokenizer, title, answer and grammar of the models of the Qwen family."""
    inter, r1 = QwenTokenizer(Path(INTER['checkpoint'])), QwenTokenizer(Path(R1) / 'huggingface')
    waypoints = ', '.join(f'[{x:.2f}, {y:.2f}]' for x, y in rng.uniform(0.1, 0.9, (10, 2)))
    whole = [[int(value) for value in row] for row in rng.uniform(100, 600, (4, 2))]
    items = '{"bbox_2d": [210,105,630,525], "point_2d": [420,315], "affordance": "hold"}'
    objects = ', '.join(f'{{"point_2d": {point}, "label": "red mug"}}' for point in whole)
    inter_grammar = {name: answer_grammar(BY_NAME[name], shares=name == 'trace') for name in ('trace', 'contact_box')}
    quick = replace(DIALECTS['embodied_r1'], begun=DIALECTS['embodied_r1'].quick or '', thinks=False)
    points = {
        name: dialect_grammar(dialect, dialect.asks['points'], (1000, 1000), 512)
        for name, dialect in (('json', DIALECTS['qwen3_vl']), ('tag', quick))
    }
    for qwen, title, text, grammar in (
        (inter, 'RoboInter, 10 waypoints', f'{{"future_traj": [{waypoints}]}}', inter_grammar['trace']),
        (inter, 'RoboInter-Qwen, box', f'{{"contact_bbox": {whole[:2]}}}', inter_grammar['contact_box']),
        (r1, 'Affordance-R1 fast, 1 item', f'{items}]</answer>', r1_grammar(384, thinking=False)),
        (r1, 'Qwen3-VL, 4 points', f'[{objects}]', points['json']),
        (r1, 'Embodied-R1 quick, 4 points', f'{str(whole)[1:-1]}]</point></answer>', points['tag']),
    ):
        if grammar is not None:
            yield qwen, title, text, grammar


def shares() -> Table:
    """Follow answers of the trained format."""
    table = Table('tokenizer', 'answer', 'tokens', 'forced', 'passes')
    rng = np.random.default_rng(0)
    points = ' [' + ', '.join(f'({x:.3f}, {y:.3f})' for x, y in rng.uniform(0.1, 0.9, (8, 2))) + ']'
    for title, folder in (
        ('SentencePiece, pocket', Path(str(load_model('robopoint', 'pocket').describe().checkpoint))),
        ('SentencePiece, digits single', Path(TINY['checkpoint'])),
    ):
        llama = LlamaTokenizer.from_folder(folder)
        table_of = TokenTable(llama.token_bytes(), llama.encode_more, llama.eos_id)
        ids = [*llama.encode_more(points), llama.eos_id]
        forced = forced_share(GuideVocabulary(table_of, len(llama)), point_list_grammar(512), ids)
        table.add_row(title, '8 points', str(len(ids)), str(forced), str(len(ids) - forced))
    for qwen, shown, text, grammar in byte_level_answers(rng):
        vocabulary = GuideVocabulary(byte_level_table(qwen.fast, qwen.eos_ids[0]), len(qwen))
        ids = [*qwen.encode(text), qwen.eos_ids[0]]
        forced = forced_share(vocabulary, grammar, ids)
        table.add_row('byte-level, Qwen', shown, str(len(ids)), str(forced), str(len(ids) - forced))
    return table


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--questions', type=int, default=40, help='questions per checkpoint')
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=120)
    console.print(f'{platform.processor() or platform.machine()}, one thread, torch {torch.__version__}')
    console.print(compare(arguments.questions))
    console.print(shares())


if __name__ == '__main__':
    main()
