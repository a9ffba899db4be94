# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No line of the package lets a file or a message run a program: read from the source, call by call."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / 'affordance_ros').rglob('*.py'), *(ROOT / 'launch').glob('*.py')])
FORBIDDEN = {
    'pickle.load', 'pickle.loads', 'pickle.Unpickler', 'dill.load', 'joblib.load', 'marshal.load', 'marshal.loads',
    'shelve.open', 'eval', 'exec', 'yaml.load', 'yaml.unsafe_load', 'yaml.full_load', 'os.system', 'os.popen',
    'pandas.read_pickle',
}  # fmt: skip


def calls(source: str) -> Iterator[tuple[str, dict[str, ast.expr], int]]:
    """Yield (name, keyword arguments, line) of every call."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
            yield ast.unparse(node.func), keywords, node.lineno


def is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def complaints(source: str) -> list[str]:
    """Return what in a source may run what it reads."""
    found = []
    for name, keywords, line in calls(source):
        if name in FORBIDDEN:
            found.append(f'{line}: {name}')
        if name == 'torch.load' and not is_true(keywords.get('weights_only')):
            found.append(f'{line}: torch.load without weights_only=True')
        if name in ('np.load', 'numpy.load') and is_true(keywords.get('allow_pickle')):
            found.append(f'{line}: {name} with allow_pickle')
        found += [
            f'{line}: {name} with {word}' for word in ('trust_remote_code', 'shell') if is_true(keywords.get(word))
        ]
    return found


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_read_is_run(path: Path) -> None:
    assert not complaints(path.read_text()), path


@pytest.mark.parametrize(
    'line',
    [
        'pickle.loads(data)',
        'torch.load(path)',
        'torch.load(path, weights_only=False)',
        'np.load(path, allow_pickle=True)',
        'yaml.load(text)',
        'subprocess.run(text, shell=True)',
        'AutoModel.from_pretrained(path, trust_remote_code=True)',
    ],
)
def test_the_test_above_sees_it(line: str) -> None:
    assert complaints(line)


def test_safe_ways_pass() -> None:
    assert not complaints("torch.load(p, weights_only=True); np.load(p, allow_pickle=False); yaml.safe_load('a')")
