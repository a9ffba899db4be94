# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pieces of our HTML pages: one style, tables and pictures inside the file, nothing loaded from anywhere."""

import base64
import html
from collections.abc import Iterable, Mapping

import cv2
import numpy as np

from affordance_ros.drawing import Canvas

STYLE = """
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


def page(title: str, body: Iterable[str]) -> str:
    """Return a whole page; `body` is HTML."""
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
    view = f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
    return f'{head}{view}<body><main>{"".join(body)}</main></body></html>\n'


def section(title: str, body: str) -> str:
    """Return a titled card; '' when there is nothing in it."""
    return f'<h2>{html.escape(title)}</h2><div class="card">{body}</div>' if body else ''


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of cells that are HTML."""
    top = ''.join(f'<th>{cell}</th>' for cell in head)
    body = ''.join(f'<tr>{"".join(f"<td class=n>{cell}</td>" for cell in row)}</tr>' for row in rows)
    return f'<table><tr>{top}</tr>{body}</table>'


def pairs(lines: Mapping[str, str]) -> str:
    """Return a table of names and plain values."""
    cells = ((html.escape(key), html.escape(str(value))) for key, value in lines.items())
    rows = ''.join(f'<tr><td class=n>{key}</td><td style="width:80%">{value}</td></tr>' for key, value in cells)
    return f'<table>{rows}</table>' if rows else ''


def times(seconds: Mapping[str, float]) -> str:
    """Return wall times by stage as bars."""
    longest = max(seconds.values(), default=0.0)
    rows = []
    for name, value in seconds.items():
        share = 100 * value / longest if longest > 0 else 0
        bar = f'<td style="width:70%"><div class="bar"><i style="width:{share:.1f}%"></i></div></td>'
        rows.append(f'<tr><td class=n>{html.escape(name)}</td><td class=n>{value * 1000:.1f} ms</td>{bar}</tr>')
    return f'<table>{"".join(rows)}</table>' if rows else ''


def picture(data: bytes, kind: str, caption: str) -> str:
    """Return a figure with an encoded image inside. kind: 'image/png' or 'image/jpeg'. caption: HTML."""
    source = f'data:{kind};base64,{base64.b64encode(data).decode()}'
    return f'<figure><img alt="" src="{source}"><figcaption>{caption}</figcaption></figure>'


def png(image: Canvas) -> bytes:
    """Encode uint8 RGB (H, W, 3) as PNG."""
    ok, data = cv2.imencode('.png', np.ascontiguousarray(image[..., ::-1]))
    if not ok:
        raise ValueError(f'cannot encode an image of shape {image.shape} as PNG')
    return data.tobytes()
