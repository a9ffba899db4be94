# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One HTML file that shows an answer to a person: pictures inside, nothing loaded from anywhere."""

import html
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from affordance_ros.answer_json import answer_to_json
from affordance_ros.errors import Code
from affordance_ros.geometry.transforms import quaternion_from_matrix
from affordance_ros.page import page, pairs, picture, png, section, table, times
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
    Code.NOT_FLAT: 'Point at a level place that is flat and large enough.',
    Code.NOT_FREE: 'Point at a place where nothing stands, or clear it.',
}


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
    body = [
        f'<div class="dim">{html.escape(notes.title)}</div><h1>&ldquo;{sentence}&rdquo;</h1>{_verdict(answer)}',
        _pictures(answer),
        _targets(answer),
        _places(answer),
        _abstentions(answer),
        section('Against the truth of the scene', pairs(notes.truth)),
        section('What the model said', _said(answer)),
        section('Time', times(answer.seconds)),
        section('Model', pairs(notes.model)),
        section('Frame', pairs(_frame_lines(answer))),
        section('Versions', pairs(notes.versions)),
        section('Files', ' &middot; '.join(f'<a href="{html.escape(f)}">{html.escape(f)}</a>' for f in notes.files)),
    ]
    path.write_text(page(answer.prediction.query.sentence, body), encoding='utf-8')


def numbers(values: Iterable[float], digits: int = 3) -> str:
    """Return numbers for people: '0.120, -0.034, 0.655'."""
    return ', '.join(f'{value:.{digits}f}' for value in values)


def width_text(target: GraspTarget) -> str:
    """Return the width in millimetres; '>' where the far side was not seen, 'suction' for a cup."""
    if target.width_m == 0:
        return 'suction'
    return f'{">" if target.width_is_lower_bound else ""}{target.width_m * 1000:.0f} mm'


def _verdict(answer: Answer) -> str:
    if answer.targets:
        count = len(answer.targets)
        return f'<span class="pill ok">{count} grasp target{"s" if count > 1 else ""}</span>'
    if answer.places:
        count = len(answer.places)
        return f'<span class="pill ok">{count} free place{"s" if count > 1 else ""}</span>'
    code = answer.abstentions[0].code.name if answer.abstentions else 'nothing was found'
    return f'<span class="pill no">no grasp target: {code}</span>'


def _pictures(answer: Answer) -> str:
    pictures = (
        (draw_overlay(answer), 'The answer in the image of the camera'),
        (draw_view_3d(answer), 'The measured points from beside the camera. Dark: not seen'),
    )
    rows = [picture(png(image), 'image/png', caption) for image, caption in pictures]
    return f'<h2></h2><div class="pictures">{"".join(rows)}</div>'


def _in_frame(answer: Answer, pose: FloatArray) -> FloatArray:
    known = answer.frame.target_from_camera
    return np.asarray(pose) if known is None else np.asarray(known) @ np.asarray(pose)


def _targets(answer: Answer) -> str:
    if not answer.targets:
        return ''
    name = _frame_name(answer)
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
    return section('Grasp targets, best first', table(head, rows))


def _frame_name(answer: Answer) -> str:
    frame = answer.frame
    return html.escape((frame.target_frame if frame.target_from_camera is not None else frame.frame_id) or 'camera')


def _places(answer: Answer) -> str:
    if not answer.places:
        return ''
    rows = []
    for index, place in enumerate(answer.places):
        pose = _in_frame(answer, place.pose)
        scores = '<br>'.join(f'{html.escape(name)} {value:.2f}' for name, value in place.sub_scores.items())
        rows.append((
            str(index + 1),
            numbers(pose[:3, 3]) + _dim('xyzw', quaternion_from_matrix(pose[:3, :3])),
            f'{2000 * place.radius_m:.0f} mm across',
            f'{1000 * place.room_m:.0f} mm',
            f'<b>{place.score:.2f}</b><div class="dim">{scores}</div>',
        ))  # fmt: skip
    head = ('', f'pose in <code>{_frame_name(answer)}</code>, metres, z up', 'free patch', 'room beside it', 'score')
    return section('Free places, best first', table(head, rows))


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
    body = f'<table><tr><th>code</th><th>pixel</th><th>why</th><th>what to do</th></tr>{"".join(rows)}</table>'
    return section('Refused', body)


def _said(answer: Answer) -> str:
    prediction = answer.prediction
    parts = [f'<pre>{html.escape(text)}</pre>' for text in (prediction.reasoning, prediction.text) if text]
    parts += [f'<div class="dim">mended: {html.escape(repair)}</div>' for repair in prediction.repairs]
    return ''.join(parts)


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
