# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How values are written on the command line."""

import json
from typing import Any

import typer


def key_value(item: str) -> tuple[str, Any]:
    """Return name and value of NAME=VALUE; numbers, true, false and null are read as JSON, anything else is text."""
    name, equals, value = item.partition('=')
    if not equals or not name:
        raise typer.BadParameter(f'{item!r} is not NAME=VALUE', param_hint='--option')
    try:
        read = json.loads(value)
    except ValueError:
        return name, value
    return name, value if isinstance(read, str | list | dict) else read
