# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the console tells of a refusal, and the exit codes."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

from affordance_ros.errors import AffordanceError, Code

FAILED, BAD_USAGE, NO_ANSWER = 1, 2, 3
_NO_ANSWER_CODES = {Code.UNPARSABLE_ANSWER, Code.EMPTY_MODEL_OUTPUT, Code.NO_ANSWER_TOKEN, Code.TIMEOUT}
_USAGE = range(1, 22)  # what came in, and a model or a checkpoint that is not there


def exit_code(code: Code) -> int:
    """Return the exit code of the process for a refusal."""
    if code in _NO_ANSWER_CODES or code >= Code.OUT_OF_IMAGE and code != Code.INTERNAL:
        return NO_ANSWER
    return BAD_USAGE if int(code) in _USAGE else FAILED


def complain(code: str, message: str) -> None:
    """Print a refusal on stderr."""
    Console(stderr=True, soft_wrap=True).print(Text.assemble((f'{code}: ', 'bold red'), message))


@contextmanager
def explained() -> Iterator[None]:
    """Turn a refusal into its sentence and its exit code, and Ctrl-C into a quiet end."""
    try:
        yield
    except AffordanceError as error:
        complain(error.code.name, error.message)
        raise typer.Exit(exit_code(error.code)) from None
    except KeyboardInterrupt:
        complain('CANCELED', 'stopped by Ctrl-C')
        raise typer.Exit(130) from None
