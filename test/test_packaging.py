# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files that install the package agree with each other and with the sources."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from affordance_ros.errors import Code

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / 'affordance_ros'
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
MANIFEST = ElementTree.parse(ROOT / 'package.xml').getroot()
CMAKE = (ROOT / 'CMakeLists.txt').read_text()
SKIPPED = {'.git', '.venv', 'build', 'install', 'log', 'out', '__pycache__'}
TEXT = {'.py', '.md', '.yaml', '.toml', '.xml', '.txt', '.cmake', '.msg', '.srv', '.action', '.sh', ''}


def files(*suffixes: str) -> Iterator[Path]:
    """Yield the files of the working tree with one of the suffixes; builds and outputs are left out."""
    for entry in sorted(ROOT.iterdir()):
        if entry.name in SKIPPED or (entry.name.startswith('.') and entry.name != '.ci'):
            continue
        for path in sorted(entry.rglob('*')) if entry.is_dir() else [entry]:
            if path.is_file() and path.suffix in suffixes and not SKIPPED & set(path.parts[len(ROOT.parts) :]):
                yield path


def ros_packages_used() -> set[str]:
    """Return the ROS packages that nodes import at module level and the interfaces name."""
    names = set()
    for path in (PACKAGE / 'nodes').glob('*.py'):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split('.')[0])
            elif isinstance(node, ast.Import):
                names.update(alias.name.split('.')[0] for alias in node.names)
    for path in files('.msg', '.srv', '.action'):
        if path.is_relative_to(ROOT / 'tools'):
            continue
        names.update(re.findall(r'^([a-z]\w*)/[A-Z]\w*', path.read_text(), re.MULTILINE))
    return {name for name in names if name.endswith(('_msgs', '_srvs', '_interfaces')) or name == 'rclpy'}


def test_versions_agree() -> None:
    assert MANIFEST.findtext('version') == PROJECT['version']
    assert f'## {PROJECT["version"]}' in (ROOT / 'CHANGELOG.md').read_text()


def test_package_xml_names_every_ros_package_in_use() -> None:
    declared = {entry.text for tag in ('depend', 'exec_depend') for entry in MANIFEST.findall(tag)}
    assert ros_packages_used() - declared == set()


def test_interfaces_are_generated_with_every_package_they_name() -> None:
    found = re.search(r'set\(interface_dependencies ([^)]*)\)', CMAKE)
    assert found is not None
    texts = [path.read_text() for path in files('.msg', '.srv', '.action') if path.parent.parent == ROOT]
    named = {name for text in texts for name in re.findall(r'^([a-z]\w*)/[A-Z]\w*', text, re.MULTILINE)}
    assert named <= set(found.group(1).split())


def test_cmake_and_pip_install_the_same_nodes() -> None:
    found = re.search(r'set\(nodes ([^)]*)\)', CMAKE)
    assert found is not None
    nodes = set(found.group(1).split())
    assert nodes == set(PROJECT['scripts']) - {'affordance'}
    assert nodes == {path.stem for path in (PACKAGE / 'nodes').glob('*_node.py')}


@pytest.mark.parametrize('path', list(files('.py')), ids=lambda path: str(path.relative_to(ROOT)))
def test_python_files_open_with_the_licence(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines()[:3] if not line.startswith('#!')]
    assert lines[:2] == ['# Copyright 2026 The affordance_ros authors', '# SPDX-License-Identifier: Apache-2.0']


def test_no_file_names_one_machine() -> None:
    machine = re.compile(r'(?<![\w.$}])/(?:home|root|work|Users)/[\w.]|bash_jobs|/tmp/w/')
    found = [f'{path.relative_to(ROOT)}: {match.group()}' for path in files(*TEXT) if path != Path(__file__).resolve()
             for match in machine.finditer(path.read_text(errors='ignore'))]  # fmt: skip
    assert found == []


def test_outcome_message_has_the_codes() -> None:
    text = (ROOT / 'msg' / 'Outcome.msg').read_text()
    constants = {
        name: int(value) for name, value in re.findall(r'^u?int\d+\s+([A-Z_]+)\s*=\s*(\d+)', text, re.MULTILINE)
    }
    assert constants == {code.name: code.value for code in Code}
