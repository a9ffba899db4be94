# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small charts as SVG inside a page: bars by name, a value over time, and scores against what came of them."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

_GOOD, _BAD = '#3b9b5b', '#d0564c'
_WIDTH, _HEIGHT, _MARGIN = 1080, 170, 84


def outcome_bars(outcomes: Mapping[str, int]) -> str:
    """Return one bar per outcome; OK is green."""
    total = sum(outcomes.values())
    rows = []
    for name, count in outcomes.items():
        color = _GOOD if name == 'OK' else _BAD
        bar = f'<div class="bar"><i style="width:{100 * count / total:.1f}%;background:{color}"></i></div>'
        share = f'{count} <span class="dim">({100 * count / total:.0f} %)</span>'
        rows.append(f'<tr><td class=n>{html.escape(name)}</td><td class=n>{share}</td><td style="width:60%">{bar}</td>')
    return f'<table>{"</tr>".join(rows)}</tr></table>' if rows else ''


def timeline(times_s: Sequence[float], values: Sequence[float], unit: str, good: Sequence[bool]) -> str:
    """Return a dot per value over time; green where `good`, red elsewhere. Values that are not finite are left out."""
    points = [(t, v, ok) for t, v, ok in zip(times_s, values, good, strict=True) if v == v and abs(v) != float('inf')]
    if len(points) < 2:
        return ''
    start, end = min(p[0] for p in points), max(p[0] for p in points)
    top = max(p[1] for p in points) or 1.0
    dots = []
    for t, value, ok in points:
        x = _MARGIN + (t - start) / ((end - start) or 1.0) * (_WIDTH - 2 * _MARGIN)
        y = _HEIGHT - 24 - value / top * (_HEIGHT - 44)
        dots.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{_GOOD if ok else _BAD}"/>')
    base = _HEIGHT - 24
    axis = f'<path d="M{_MARGIN} 14V{base}H{_WIDTH - _MARGIN}" fill="none" stroke="#b6bfcc"/>'
    number = f'{top:,.0f}' if top >= 10 else f'{top:.2g}'
    labels = (
        f'<text x="{_MARGIN - 6}" y="20" text-anchor="end">{number} {html.escape(unit)}</text>'
        f'<text x="{_MARGIN - 6}" y="{base}" text-anchor="end">0</text>'
        f'<text x="{_MARGIN}" y="{_HEIGHT - 6}">0 s</text>'
        f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 6}" text-anchor="end">{end - start:.1f} s</text>'
    )
    style = 'font:12px system-ui,sans-serif;max-width:100%;fill:#5b6475;overflow:visible'
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}"'
    return f'<svg {box} style="{style}" role="img">{axis}{"".join(dots)}{labels}</svg>'


def reliability(calibration: Mapping[str, Any], name: str) -> str:
    """Return a diagram of calibrated bins: share that was right over the mean score; the diagonal is perfect.

    calibration: {'ece', 'count', 'bins': [{'score', 'right', 'count'}]}. The area of a dot follows its count.
    """
    side, margin = 240, 40
    span = side - 2 * margin
    most = max(item['count'] for item in calibration['bins'])
    dots = []
    for item in calibration['bins']:
        x, y = margin + item['score'] * span, side - margin - item['right'] * span
        radius = 3 + 9 * (item['count'] / most) ** 0.5
        title = f'score {item["score"]:.2f}, right {item["right"]:.2f}, {item["count"]} answers'
        dots.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#4a7fd4" fill-opacity=".7">'
            f'<title>{title}</title></circle>'
        )
    low, high = margin, side - margin
    frame = f'<path d="M{low} {low}V{high}H{high}" fill="none" stroke="#b6bfcc"/>'
    diagonal = f'<path d="M{low} {high}L{high} {low}" stroke="#b6bfcc" stroke-dasharray="4 4"/>'
    texts = (
        f'<text x="{low - 6}" y="{high}" text-anchor="end">0</text><text x="{low - 6}" y="{low + 4}" '
        f'text-anchor="end">1</text><text x="{high + 8}" y="{high + 4}">1</text>'
        f'<text x="{side / 2}" y="{high + 16}" text-anchor="middle">{html.escape(name)}</text>'
        f'<text x="{low}" y="{low - 20}">share that was right</text>'
    )
    caption = f'{calibration["count"]} answers, ECE {calibration["ece"]:.2f}, bias {calibration["bias"]:+.2f}'
    style = 'font:12px system-ui,sans-serif;fill:#5b6475'
    svg = f'<svg viewBox="0 0 {side} {side}" width="{side}" style="{style}" role="img">'
    picture = f'{svg}{frame}{diagonal}{"".join(dots)}{texts}</svg>'
    return f'<figure style="width:{side}px">{picture}<figcaption>{caption}</figcaption></figure>'
