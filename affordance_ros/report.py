# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One HTML file that shows an answer to a person: pictures inside, nothing loaded from anywhere."""

import base64
import html
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from affordance_ros.answer_json import answer_to_json
from affordance_ros.drawing import Canvas
from affordance_ros.errors import Code
from affordance_ros.geometry.transforms import quaternion_from_matrix
from affordance_ros.pipeline import Answer
from affordance_ros.results import FloatArray, GraspTarget
from affordance_ros.view_3d import draw_view_3d
from affordance_ros.visualization import draw_overlay

WAYS_OUT: dict[Code, str] = {
    Code.NO_DEPTH: 'Give registered depth and intrinsics, or look from where the camera measures depth there.',
    Code.UNITS: 'Set the depth scale: metres per unit of the depth image.',
    Code.UNALIGNED: 'Register the depth to the colour image.',
    Code.EMPTY_MODEL_OUTPUT: 'Ask in other words, or name an object that is in the picture.',
    Code.UNPARSABLE_ANSWER: 'Ask in other words; the text of the model is below.',
    Code.OUT_OF_IMAGE: 'Move the camera so that the part is inside the picture.',
    Code.MULTI_SURFACE: 'Look from another side: at this pixel several surfaces lie behind each other.',
    Code.TOO_FEW_POINTS: 'Come closer or change the view: there is too little depth around this pixel.',
    Code.TOO_THIN: 'Come closer: the part is thinner than the depth camera resolves here.',
    Code.TOO_WIDE: 'Ask for a narrower part or choose a gripper that opens wider.',
    Code.NO_CLEARANCE: 'Free the surroundings of the part or ask for another part.',
    Code.LOW_SCORE: 'Change the view or ask for another part.',
}
_STYLE = """
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;margin:0}
body{background:#f5f6f8;color:#1d2330}
main{max-width:1180px;margin:0 auto;padding:24px 24px 48px}
h1{font-size:26px;margin:0 0 6px}h2{font-size:18px;margin:30px 0 10px}
.card{background:#fff;border:1px solid #dfe3ea;border-radius:8px;padding:14px 16px;margin:10px 0;overflow-x:auto}
.pill{display:inline-block;border-radius:20px;padding:2px 12px;font-weight:600}
.ok{background:#dff5e3;color:#166b2c}.no{background:#fde3e1;color:#a3201a}
.pictures{display:grid;grid-template-columns:1fr 1fr;gap:14px}figure{margin:0}
img{width:100%;border-radius:8px;border:1px solid #dfe3ea;display:block}
figcaption{color:#5b6475;font-size:13px;margin-top:4px}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:6px 12px 6px 0;border-bottom:1px solid #eceff4;vertical-align:top}
th{color:#5b6475;font-weight:600;font-size:13px}tr:last-child td{border-bottom:0}
td.n{font-variant-numeric:tabular-nums;white-space:nowrap}.dim{color:#5b6475;font-size:13px}
.bar{background:#e9edf3;border-radius:4px;height:9px;width:100%;min-width:60px}
.bar i{display:block;height:9px;border-radius:4px;background:#4a7fd4}
code,pre{font:13px/1.45 ui-monospace,"DejaVu Sans Mono",monospace}pre{white-space:pre-wrap;margin:0}
@media(max-width:800px){.pictures{grid-template-columns:1fr}}
"""


@dataclass(frozen=True)
class ReportNotes:
    """What a report shows beside the answer.

    model, versions: lines 'name: value'. truth: of a simulated scene, such as the distance to the asked part.
    files: what lies beside the report.
    """

    title: str = 'affordance_ros'
    model: Mapping[str, str] = field(default_factory=dict)
    truth: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()


def write_outputs(folder: Path, answer: Answer, notes: ReportNotes) -> tuple[Path, ...]:
    """Write overlay.png, view_3d.png, answer.json and report.html into `folder` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    overlay, view = folder / 'overlay.png', folder / 'view_3d.png'
    overlay.write_bytes(png(draw_overlay(answer)))
    view.write_bytes(png(draw_view_3d(answer)))
    record = {
        **answer_to_json(answer),
        'truth': dict(notes.truth),
        'model_info': dict(notes.model),
        'versions': dict(notes.versions),
    }
    (folder / 'answer.json').write_text(json.dumps(record, indent=2, allow_nan=False) + '\n')
    write_report(folder / 'report.html', answer, notes)
    return overlay, view, folder / 'answer.json', folder / 'report.html'


def write_report(path: Path, answer: Answer, notes: ReportNotes | None = None) -> None:
    """Write the report of one answer as a single HTML file."""
    notes = notes or ReportNotes()
    sentence = html.escape(answer.prediction.query.sentence)
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{sentence}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>',
        f'<div class="dim">{html.escape(notes.title)}</div><h1>&ldquo;{sentence}&rdquo;</h1>{_verdict(answer)}',
        _pictures(answer),
        _targets(answer),
        _abstentions(answer),
        _section('Against the truth of the scene', _pairs(notes.truth)),
        _section('What the model said', _said(answer)),
        _section('Time', _times(answer.seconds)),
        _section('Model', _pairs(notes.model)),
        _section('Frame', _pairs(_frame_lines(answer))),
        _section('Versions', _pairs(notes.versions)),
        _section('Files', ' &middot; '.join(f'<a href="{html.escape(f)}">{html.escape(f)}</a>' for f in notes.files)),
        '</main></body></html>\n',
    ]
    path.write_text(''.join(parts), encoding='utf-8')


def png(image: Canvas) -> bytes:
    """Encode uint8 RGB (H, W, 3) as PNG."""
    ok, data = cv2.imencode('.png', np.ascontiguousarray(image[..., ::-1]))
    if not ok:
        raise ValueError(f'cannot encode an image of shape {image.shape} as PNG')
    return data.tobytes()


def numbers(values: Iterable[float], digits: int = 3) -> str:
    """Return numbers for people: '0.120, -0.034, 0.655'."""
    return ', '.join(f'{value:.{digits}f}' for value in values)


def width_text(target: GraspTarget) -> str:
    """Return the width in millimetres; '>' where the far side was not seen."""
    return f'{">" if target.width_is_lower_bound else ""}{target.width_m * 1000:.0f} mm'


def _verdict(answer: Answer) -> str:
    if answer.targets:
        count = len(answer.targets)
        return f'<span class="pill ok">{count} grasp target{"s" if count > 1 else ""}</span>'
    code = answer.abstentions[0].code.name if answer.abstentions else 'nothing was found'
    return f'<span class="pill no">no grasp target: {code}</span>'


def _section(title: str, body: str) -> str:
    return f'<h2>{html.escape(title)}</h2><div class="card">{body}</div>' if body else ''


def _pictures(answer: Answer) -> str:
    pictures = (
        (draw_overlay(answer), 'The answer in the image of the camera'),
        (draw_view_3d(answer), 'The measured points from beside the camera. Dark: not seen'),
    )
    rows = []
    for image, caption in pictures:
        data = base64.b64encode(png(image)).decode()
        picture = f'<img alt="{caption}" src="data:image/png;base64,{data}">'
        rows.append(f'<figure>{picture}<figcaption>{caption}</figcaption></figure>')
    return f'<h2></h2><div class="pictures">{"".join(rows)}</div>'


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    top = ''.join(f'<th>{cell}</th>' for cell in head)
    body = ''.join(f'<tr>{"".join(f"<td class=n>{cell}</td>" for cell in row)}</tr>' for row in rows)
    return f'<table><tr>{top}</tr>{body}</table>'


def _in_frame(answer: Answer, pose: FloatArray) -> FloatArray:
    known = answer.frame.target_from_camera
    return np.asarray(pose) if known is None else np.asarray(known) @ np.asarray(pose)


def _targets(answer: Answer) -> str:
    if not answer.targets:
        return ''
    frame = answer.frame
    name = html.escape((frame.target_frame if frame.target_from_camera is not None else frame.frame_id) or 'camera')
    rows = []
    for index, target in enumerate(answer.targets):
        pose = _in_frame(answer, target.grasp)
        contact = np.eye(4)
        contact[:3, 3] = target.contact.point
        turn = _in_frame(answer, np.eye(4))[:3, :3]
        rows.append((
            str(index + 1),
            numbers(pose[:3, 3]) + _dim('xyzw', quaternion_from_matrix(pose[:3, :3])),
            numbers(_in_frame(answer, contact)[:3, 3]) + _dim('normal', turn @ target.contact.normal),
            html.escape(width_text(target)),
            f'<b>{target.score:.2f}</b><div class="dim">{_scores(target)}</div>',
        ))  # fmt: skip
    head = ('', f'grasp pose of the TCP in <code>{name}</code>, metres', 'contact, metres', 'width', 'score')
    return _section('Grasp targets, best first', _table(head, rows))


def _dim(name: str, values: FloatArray) -> str:
    return f'<div class="dim">{name} {numbers(values)}</div>'


def _scores(target: GraspTarget) -> str:
    return '<br>'.join(f'{html.escape(name)} {value:.2f}' for name, value in target.sub_scores.items())


def _abstentions(answer: Answer) -> str:
    rows = []
    for item in answer.abstentions:
        place = f'({item.pixel[0]:.0f}, {item.pixel[1]:.0f})' if np.isfinite(item.pixel).all() else 'the whole answer'
        message = html.escape(item.message)
        way_out = WAYS_OUT.get(item.code, '')
        cells = f'<td class=n><b>{item.code.name}</b></td><td class=n>{place}</td><td>{message}</td><td>{way_out}</td>'
        rows.append(f'<tr>{cells}</tr>')
    if not rows:
        return ''
    table = f'<table><tr><th>code</th><th>pixel</th><th>why</th><th>what to do</th></tr>{"".join(rows)}</table>'
    return _section('Refused', table)


def _said(answer: Answer) -> str:
    prediction = answer.prediction
    parts = [f'<pre>{html.escape(text)}</pre>' for text in (prediction.reasoning, prediction.text) if text]
    parts += [f'<div class="dim">mended: {html.escape(repair)}</div>' for repair in prediction.repairs]
    return ''.join(parts)


def _times(seconds: Mapping[str, float]) -> str:
    longest = max(seconds.values(), default=0.0)
    rows = []
    for name, value in seconds.items():
        share = 100 * value / longest if longest > 0 else 0
        bar = f'<td style="width:70%"><div class="bar"><i style="width:{share:.1f}%"></i></div></td>'
        rows.append(f'<tr><td class=n>{html.escape(name)}</td><td class=n>{value * 1000:.1f} ms</td>{bar}</tr>')
    return f'<table>{"".join(rows)}</table>' if rows else ''


def _pairs(lines: Mapping[str, str]) -> str:
    cells = ((html.escape(key), html.escape(str(value))) for key, value in lines.items())
    rows = ''.join(f'<tr><td class=n>{key}</td><td style="width:80%">{value}</td></tr>' for key, value in cells)
    return f'<table>{rows}</table>' if rows else ''


def _frame_lines(answer: Answer) -> dict[str, str]:
    frame = answer.frame
    stamp = f'{frame.stamp_ns / 1e9:.3f} s' if frame.stamp_ns else ''
    lines = {'image': f'{frame.width} x {frame.height}', 'optical frame': frame.frame_id, 'stamp': stamp}
    if frame.intrinsics:
        k = frame.intrinsics
        lines['intrinsics'] = f'fx {k.fx:.1f}, fy {k.fy:.1f}, cx {k.cx:.1f}, cy {k.cy:.1f} px'
    if frame.depth is not None:
        valid = np.isfinite(frame.depth) & (frame.depth > 0)
        median = f', median {np.median(frame.depth[valid]):.2f} m' if valid.any() else ''
        lines['depth'] = f'{100 * valid.mean():.0f} % valid{median}'
    return {key: value for key, value in lines.items() if value}
