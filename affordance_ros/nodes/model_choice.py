# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which model to load: what a request or the parameters say, what a request may open, and whether it fits."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import list_models
from affordance_ros.models.memory import free_bytes, needed_bytes
from affordance_ros.models.refine import PLACES
from affordance_ros.models.worker import WorkerSpec
from affordance_ros.nodes.parameters import AffordanceParameters

LONGEST = 1000


@dataclass(frozen=True)
class ModelChoice:
    """What to load; empty strings stand for the parameters of the node."""

    name: str = ''
    checkpoint: str = ''
    device: str = ''
    dtype: str = ''

    def __post_init__(self) -> None:
        for field, value in vars(self).items():
            if len(value) > LONGEST or '\0' in value:
                raise AffordanceError(Code.BAD_INPUT, f'{field} of the model is no name: {len(value)} characters')

    @classmethod
    def of(cls, request: Any) -> 'ModelChoice':
        """Return what a LoadModel request asks for. Raises BAD_INPUT."""
        return cls(request.name, request.checkpoint, request.device, request.dtype)


def worker_spec(choice: ModelChoice, settings: AffordanceParameters) -> WorkerSpec:
    """Return what the worker loads. Raises BAD_INPUT."""
    s = settings
    try:
        options = {**_refinement(s), **json.loads(s.model_options), 'threads': s.model_threads}
    except (ValueError, TypeError) as error:
        raise AffordanceError(Code.BAD_INPUT, f'model.options is no JSON object: {error}') from error
    name = choice.name or s.model_name
    other = bool(choice.name) and choice.name != s.model_name  # the node's own checkpoint is one of another model
    checkpoint = _checkpoint(choice.checkpoint or ('pocket' if other else ''), s)
    device, dtype = choice.device or s.model_device, choice.dtype or s.model_dtype
    if other:
        options = {**_refinement(s, name), 'threads': s.model_threads}
    return WorkerSpec(name, checkpoint, device, dtype, options, s.model_python, s.model_warmup)


def _refinement(settings: AffordanceParameters, other: str = '') -> dict[str, str]:
    """Return the options of `model.refine`; none for another model whose answers no mask can be made of."""
    kind = settings.model_refine
    fits = all(entry.outputs & PLACES for entry in list_models() if entry.name == other)
    if not kind or not fits:
        return {}
    path = {'sam2': settings.model_sam2, 'sam': settings.model_sam}.get(kind, '')
    return {'refine': kind} | ({kind: path} if path else {})


def _checkpoint(asked: str, settings: AffordanceParameters) -> str | None:
    """Return the checkpoint to open: a request may only name 'pocket', the node's own one, or one in model.folders."""
    if asked in ('', 'pocket', settings.model_checkpoint):
        return asked or settings.model_checkpoint or None
    path = Path(asked).resolve()  # links are followed first: one that leads out of the folders does not help
    folders = [Path(folder).resolve() for folder in settings.model_folders.split(':') if folder]
    if not any(path.is_relative_to(folder) for folder in folders):
        where = ', '.join(map(str, folders)) or 'empty'
        text = f'checkpoint {asked!r} lies outside the folders that requests may load from (model.folders: {where})'
        raise AffordanceError(Code.BAD_INPUT, f'{text}; add its folder to model.folders')
    return str(path)


def check_memory(spec: WorkerSpec) -> None:
    """Raise OOM with both numbers when the weights do not fit beside what runs already."""
    folder = spec.checkpoint
    if folder == 'pocket':
        known = {entry.name: entry for entry in list_models()}
        folder = str(known[spec.name].pocket or '') if spec.name in known else ''
    if not folder or not Path(folder).is_dir():
        return  # loading says what is missing
    needed = needed_bytes(folder, spec.dtype, str(spec.options.get('quantization') or ''))
    free = free_bytes(spec.device)
    if free is not None and needed > free:
        what = f'{spec.name} in {spec.dtype} needs {needed / 2**30:.1f} GiB on {spec.device}'
        text = f'{what}, {free / 2**30:.1f} GiB is free'
        way = 'deactivate and clean up what runs there, take a smaller dtype, or set model.check_memory to false'
        raise AffordanceError(Code.OOM, f'{text}; {way}')
