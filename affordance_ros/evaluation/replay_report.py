# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of a run: what was asked of what, how it ended, how long it took, and pictures of the answers."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from affordance_ros.evaluation.charts import outcome_bars, reliability, timeline
from affordance_ros.evaluation.gates import Verdict
from affordance_ros.evaluation.records import Json, RunFolder
from affordance_ros.evaluation.replay import OVERLAYS, VIEWS, overlay_name
from affordance_ros.evaluation.replay_head import head, parameters, scores, value_of
from affordance_ros.evaluation.summary import Stability, Summary, summarize
from affordance_ros.page import page, picture, section, table

MOST_PICTURES = 24
_PICTURE_WIDTH = 560


@dataclass(frozen=True)
class Finished:
    """A run that ended. summaries: one per prompt. metrics: every number of metrics.json."""

    folder: RunFolder
    answers: Sequence[Json]
    times: Sequence[Json]
    metrics: Mapping[str, Any]
    verdicts: Sequence[Verdict] = ()


def write_replay_report(finished: Finished) -> None:
    """Write report.html into the folder of the run."""
    run = finished.folder.run()
    whole = summarize(finished.answers, finished.times)
    prompts = [str(prompt['sentence']) for prompt in run['prompts']]
    found = finished.metrics.get('scores', {})
    body = [
        f'<div class="dim">affordance eval</div><h1>{html.escape(str(run["bag"]))}</h1>{_verdict(finished, whole)}',
        head(run, finished.metrics),
        section('Gates', _gates(finished.verdicts)),
        section('How the questions ended', outcome_bars(whole.outcomes)),
        section('By prompt', _prompts(finished, prompts)),
        section('Against the labels', scores(found)),
        section('What the scores are worth', _calibration(found.get('calibration', {}))),
        section('Time of each question', _latency(whole) + _over_time(finished)),
        section('Age of the image when its answer was published', _ages(finished)),
        f'<h2>Answers</h2>{_gallery(finished, prompts)}',
        section('Parameters', parameters(run)),
    ]
    (finished.folder.path / 'report.html').write_text(page(f'{run["bag"]}: replay', body), encoding='utf-8')


def _verdict(finished: Finished, whole: Summary) -> str:
    failed = [item for item in finished.verdicts if not item.passed]
    answered = f'{whole.outcomes.get("OK", 0)} of {whole.answers} questions ended in a grasp target'
    kind = 'no' if failed or not whole.outcomes.get('OK') else 'ok'
    total = len(finished.verdicts)
    kept = 'the gate was passed' if total == 1 else f'all {total} gates were passed'
    gates = f', {len(failed)} of {total} gates failed' if failed else f', {kept}' if total else ''
    return f'<span class="pill {kind}">{answered}{gates}</span>'


def _gates(verdicts: Sequence[Verdict]) -> str:
    rows = [
        (f'<span class="pill {"ok" if item.passed else "no"}">{"passed" if item.passed else "failed"}</span>',
         html.escape(item.sentence))
        for item in verdicts
    ]  # fmt: skip
    return table(('', ''), rows) if rows else ''


def _prompts(finished: Finished, prompts: Sequence[str]) -> str:
    rows = []
    for index, sentence in enumerate(prompts):
        lines = [line for line in finished.answers if line['prompt'] == index]
        summary = summarize(lines, [line for line in finished.times if line['prompt'] == index])
        steady = summary.stability
        rows.append((
            html.escape(sentence), f'{summary.outcomes.get("OK", 0)} of {summary.answers}',
            value_of(summary.confidence), *_steady(steady),
            f'{1000 * summary.seconds.get("total", {}).get("p50", float("nan")):.0f} ms',
        ))  # fmt: skip
    names = ('prompt', 'grasps', 'confidence', 'spread while still', 'answered alike', 'median time')
    return table(names, rows)


def _steady(found: Stability) -> tuple[str, str]:
    if not found.pairs:
        return 'never still', '&ndash;'
    spread = f'{value_of(found.point_std_mm)} mm, {value_of(found.normal_std_deg)}&deg;'
    return spread if found.segments else '&ndash;', f'{value_of(100 * found.agreement)} % of {found.pairs}'


def _calibration(found: Mapping[str, Any]) -> str:
    names = {'score': 'score of the best target', 'confidence': 'confidence of the model'}
    charts = ''.join(reliability(found[name], text) for name, text in names.items() if name in found)
    return f'<div style="display:flex;gap:40px;flex-wrap:wrap">{charts}</div>' if charts else ''


def _ages(finished: Finished) -> str:
    aged = [
        (line['stamp_ns'] / 1e9, 1000 * took['image_age_s'], line['outcome'] == 'OK')
        for line, took in zip(finished.answers, finished.times, strict=True)
        if 'image_age_s' in took
    ]
    if not any(age > 0 for _, age, _ in aged):
        return ''  # one frame at a time: the clock stands while the graph answers
    stamps, ages, good = zip(*aged, strict=True)
    p50, p90 = np.percentile(ages, (50, 90))
    return f'<p class="dim">p50 {p50:.0f} ms, p90 {p90:.0f} ms</p>{timeline(stamps, ages, "ms", good)}'


def _latency(whole: Summary) -> str:
    rows = [
        (html.escape(stage), *(f'{1000 * quantiles[name]:.1f} ms' for name in ('p50', 'p90', 'p99')))
        for stage, quantiles in sorted(whole.seconds.items(), key=lambda item: item[0] == 'total')
    ]
    return table(('stage', 'p50', 'p90', 'p99'), rows)


def _over_time(finished: Finished) -> str:
    stamps = [line['stamp_ns'] / 1e9 for line in finished.answers]
    totals = [1000 * line['seconds'].get('total', float('nan')) for line in finished.times]
    return timeline(stamps, totals, 'ms', [line['outcome'] == 'OK' for line in finished.answers])


def _gallery(finished: Finished, prompts: Sequence[str]) -> str:
    """Show at most MOST_PICTURES answers, spread evenly over the run."""
    shown = finished.answers
    if len(shown) > MOST_PICTURES:
        shown = [shown[i] for i in np.linspace(0, len(shown) - 1, MOST_PICTURES).round().astype(int)]
    cells = []
    for line in shown:
        name = overlay_name(line['frame_index'], line['prompt'])
        pill = f'<span class="pill {"ok" if line["outcome"] == "OK" else "no"}">{line["outcome"]}</span>'
        sentence = html.escape(f'{line["stamp_ns"] / 1e9:.3f} s: {prompts[line["prompt"]]}')
        caption = f'{pill} {sentence}<br>{html.escape(line["message"])}'
        files = [finished.folder.path / folder / name for folder in (OVERLAYS, VIEWS)]
        found = [_small(file.read_bytes()) for file in files if file.is_file()]
        pictures = ''.join(picture(data, 'image/jpeg', caption if i == 0 else '') for i, data in enumerate(found))
        cells.append(pictures or f'<figure><figcaption>{caption}</figcaption></figure>')
    more = f'<p class="dim">{len(shown)} of {len(finished.answers)} answers; all overlays are in {OVERLAYS}/</p>'
    return f'{more}<div class="pictures">{"".join(cells)}</div>'


def _small(jpeg: bytes) -> bytes:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None or image.shape[1] <= _PICTURE_WIDTH:
        return jpeg
    size = (_PICTURE_WIDTH, round(image.shape[0] * _PICTURE_WIDTH / image.shape[1]))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())
