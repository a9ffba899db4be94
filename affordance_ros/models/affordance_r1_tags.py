# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tags in an answer of Affordance-R1, found where they should be or where they were meant. Pure."""

import re

_WHOLE = re.compile(r'<answer>(.*?)</answer>', re.DOTALL | re.IGNORECASE)
_OPEN = re.compile(r'<answer>(.*)', re.DOTALL | re.IGNORECASE)
_BROKEN = re.compile(r'(?<![</\w])answer>(.*)', re.DOTALL | re.IGNORECASE)
_LIST = re.compile(r'\[\s*\{')
_CLOSING = re.compile(r'</?answer>?.*', re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r'^```[a-zA-Z]*\s*|\s*```$')
_NESTED = re.compile(r'^(?:<answer>\s*)+', re.IGNORECASE)
_ANY_TAG = r'</?(?:think|rethink|answer)>'


def find_answer(text: str) -> tuple[str | None, list[str]]:
    """Return what stands in the answer block, without code fences, and what had to be mended to find it.

    None: there is neither a block nor a list of objects.
    """
    notes: list[str] = []
    match = _WHOLE.search(text)
    body: str | None = match[1] if match else None
    if body is None:
        body, note = _open_block(text)
        if body is None:
            return None, notes
        notes.append(note)
    bare = _NESTED.sub('', body.strip())
    if bare != body.strip():
        notes.append('doubled answer tag removed')
    body = _FENCE.sub('', bare).strip()
    if body != bare:
        notes.append('code fence removed')
    return body, notes


def _open_block(text: str) -> tuple[str | None, str]:
    for pattern, note in ((_OPEN, 'answer tag not closed'), (_BROKEN, 'answer tag mended')):
        match = pattern.search(text)
        if match:
            return _CLOSING.sub('', match[1]), note
    starts = [match.start() for match in _LIST.finditer(text)]
    return (_CLOSING.sub('', text[starts[-1] :]), 'answer tags missing') if starts else (None, '')


def read_thought(text: str, tag: str) -> str:
    """Return the text of 'think' or 'rethink', up to its closing tag or whatever tag comes next; '' without one."""
    match = re.search(rf'<{tag}>(.*?)(?:{_ANY_TAG}|$)', text, re.DOTALL | re.IGNORECASE)
    return match[1] if match else ''
