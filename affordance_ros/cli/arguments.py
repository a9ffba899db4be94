# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options that several verbs share, and how values are written on the command line."""

import json
from typing import Annotated, Any

import typer

ModelName = Annotated[str, typer.Option(help='See: affordance models.')]
CheckpointPath = Annotated[str, typer.Option(help="Folder, or 'pocket' for the small one in this package.")]
Device = Annotated[str, typer.Option(help='cpu, cuda, cuda:1, ...')]
Dtype = Annotated[str, typer.Option(help='float32, float16 or bfloat16.')]
GripperName = Annotated[
    str, typer.Option(help='A preset (generic, panda, robotiq_2f_85, suction, ...) or a YAML file.')
]
ModelOptions = Annotated[list[str] | None, typer.Option(help='Further option of the model, as clip=DIR. Repeatable.')]
Resume = Annotated[bool, typer.Option('--resume', help='Go on with the run in the folder.')]


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
