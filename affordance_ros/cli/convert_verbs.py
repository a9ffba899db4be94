# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verbs that write checkpoints in another layout."""

from pathlib import Path
from typing import Annotated

import typer

from affordance_ros.cli.arguments import Dtype
from affordance_ros.cli.failures import explained

conversion = typer.Typer()


@conversion.command()
def convert(  # noqa: PLR0913 - the options of a command
    model: Annotated[str, typer.Argument(help='Which model the checkpoint is of: robopoint or robointer.')],
    checkpoint: Annotated[Path, typer.Argument(help='Folder of the official checkpoint.')],
    to: Annotated[str, typer.Option(help='Layout to write: hf-llava or hf-llava-onevision.')],
    out: Annotated[Path, typer.Option(help='New folder.')],
    clip: Annotated[Path | None, typer.Option(help='Folder of the CLIP tower.')] = None,
    base: Annotated[Path | None, typer.Option(help='Folder of the base under a LoRA.')] = None,
    dtype: Dtype = 'float16',
    siglip: Annotated[Path | None, typer.Option(help='Folder of the SigLIP tower, for its sizes.')] = None,
) -> None:
    """Write an official checkpoint in a layout that transformers and vLLM load."""
    from affordance_ros.models.conversion import ConvertRequest, converter

    with explained():
        converter(model, to)(ConvertRequest(checkpoint, out, clip, base, dtype, siglip))
        typer.echo(f'wrote {out}')


@conversion.command('merge-lora')
def merge_lora(
    checkpoint: Annotated[Path, typer.Argument(help='Folder with adapter_config.json.')],
    out: Annotated[Path, typer.Option(help='New folder.')],
    base: Annotated[Path | None, typer.Option(help='Folder of the base; empty: the path in the adapter.')] = None,
    clip: Annotated[Path | None, typer.Option(help='Folder of the CLIP tower.')] = None,
    dtype: Dtype = 'float16',
) -> None:
    """Merge an unmerged LoRA release into its base and write a full checkpoint in the official layout."""
    with explained():
        from affordance_ros.models.conversion import ConvertRequest
        from affordance_ros.models.conversion.merged_lora import merge_checkpoint

        merge_checkpoint(ConvertRequest(checkpoint, out, clip, base, dtype))
        typer.echo(f'wrote {out}')
