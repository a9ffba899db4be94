# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the pages tell a reader to open, import or type exists."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest
import typer

from affordance_ros.bringup import ARGUMENTS
from affordance_ros.cli import app

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md')])
FENCE = re.compile(r'^```(\w*)\n(.*?)^```', re.MULTILINE | re.DOTALL)
LINK = re.compile(r'\]\((?!https?:|#)([^)#\s]+)[^)]*\)')


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the fenced blocks of these languages."""
    return [text for language, text in FENCE.findall(page.read_text()) if language in languages]


def commands(page: Path, first: str) -> list[list[str]]:
    """Return the words of every command of the page that begins with `first`, continued lines joined."""
    found = []
    for block in blocks(page, 'bash', 'sh', 'console', ''):
        for line in block.replace('\\\n', ' ').splitlines():
            text = line.strip().removeprefix('$ ').removeprefix('.venv/bin/')
            if text.startswith(first + ' '):
                found.append(shlex.split(text, comments=True))
    return found


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize('page', PAGES, ids=ids)
def test_links_lead_to_files(page):
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize('page', PAGES, ids=ids)
def test_named_files_of_the_repository_exist(page):
    named = re.findall(r'`((?:config|docs|launch|examples|benchmarks|test|tools)/[\w/.-]+\.\w+)`', page.read_text())
    assert not [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize('page', PAGES, ids=ids)
def test_python_is_python_and_imports_what_there_is(page):
    for block in blocks(page, 'python'):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or '').startswith('affordance_ros'):
                if node.module.split('.')[1:2] in (['msg'], ['srv'], ['action'], ['nodes']):
                    continue  # needs ROS
                module = importlib.import_module(node.module)
                assert not [each.name for each in node.names if not hasattr(module, each.name)]


@pytest.mark.parametrize('page', PAGES, ids=ids)
def test_affordance_commands_have_their_options(page):
    group = typer.main.get_command(app)
    for words in commands(page, 'affordance'):
        command, rest = group, words[1:]
        while hasattr(command, 'commands') and rest and not rest[0].startswith('-'):
            assert rest[0] in command.commands, words
            command, rest = command.commands[rest[0]], rest[1:]
        known = {'--help', *(option for each in command.params for option in (*each.opts, *each.secondary_opts))}
        given = {word.partition('=')[0] for word in rest if re.fullmatch(r'--[a-z][\w-]*(=.*)?', word)}
        assert not given - known, words


@pytest.mark.parametrize('page', PAGES, ids=ids)
def test_launch_files_have_their_arguments(page):
    for words in commands(page, 'ros2'):
        if words[1:3] != ['launch', 'affordance_ros']:
            continue
        text = (ROOT / 'launch' / words[3]).read_text()
        for argument in (word for word in words[4:] if ':=' in word):
            name = argument.partition(':=')[0]
            assert name in ARGUMENTS or f"'{name}'" in text, words
