#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write config/all_parameters.yaml from the nodes' parameters (--check: is it current?), as tools/ros_api.py does."""

import json
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent.parent / 'config' / 'all_parameters.yaml'
HEAD = """# Every parameter of every node with its default. Copy what you change into a file of your own.
# Written by tools/parameter_file.py from affordance_ros/nodes/parameters.py, where the nodes have them from as well.
# [live]: may change at any time; [unconfigured]: while the node is unconfigured; all others: when the node starts.
"""


def yaml_value(value: Any) -> str:
    """Return a default as YAML; JSON is YAML."""
    return json.dumps(value)


def remark(entry: Any) -> str:
    """Return meaning, range and when a parameter may change."""
    meta = entry.metadata
    span = f' ({meta["low"]:g} to {meta["high"]:g})' if meta['low'] is not None else ''
    span = f' ({", ".join(choice or "empty" for choice in meta["choices"])})' if meta['choices'] else span
    when = ' [live]' if meta['live'] else ' [unconfigured]' if meta['configure'] else ''
    return f'{meta["doc"]}{span}{when}'


def lines() -> Iterator[str]:
    """Yield the lines of the file."""
    from affordance_ros.nodes import parameters

    for name, kind in parameters.OF_NODES.items():
        yield f'\n/**/{name}:\n  ros__parameters:'
        for entry in fields(kind):
            yield from textwrap.wrap(remark(entry), 112, initial_indent='    # ', subsequent_indent='    # ')
            yield f'    {parameters.ros_name(entry.name)}: {yaml_value(entry.default)}'


def main() -> None:
    """Write the file, or with --check exit with 1 when it is not current."""
    text = HEAD + '\n'.join(lines()) + '\n'
    if '--check' in sys.argv:
        if not FILE.is_file() or FILE.read_text() != text:
            sys.exit(f'{FILE.name} is not what the code says; run: python tools/ros_api.py')
        return
    FILE.write_text(text)


if __name__ == '__main__':
    main()
