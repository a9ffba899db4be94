# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading checkpoints: single or sharded, safetensors or .bin, one tensor at a time, and never a silent key."""

import json
import pickle
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.file_pages import forget_pages
from affordance_ros.models.parts.quantization import QuantizedLinear

_INDEX_FILES = ('model.safetensors.index.json', 'pytorch_model.bin.index.json')
_SINGLE_FILES = ('model.safetensors', 'pytorch_model.bin')
Tensors = Iterable[tuple[str, torch.Tensor]]


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file of a checkpoint."""
    if not path.is_file():
        raise AffordanceError(
            Code.MISSING_WEIGHTS, f'{path} is missing; is {path.parent} a complete checkpoint folder?'
        )
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{path} is not valid JSON: {error}') from error
    if not isinstance(content, dict):
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{path} must hold a JSON object')
    return content


def has_weights(folder: Path) -> bool:
    """Tell whether the folder holds model weights in a known file layout."""
    return any((folder / name).is_file() for name in (*_INDEX_FILES, *_SINGLE_FILES))


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files of a folder; a shard that the index names must exist."""
    for name in _INDEX_FILES:
        if (folder / name).is_file():
            shards = sorted(set(read_json(folder / name)['weight_map'].values()))
            absent = [shard for shard in shards if not (folder / shard).is_file()]
            if absent:
                raise AffordanceError(
                    Code.MISSING_WEIGHTS, f'{folder} lacks the shards {", ".join(absent)}; download them again'
                )
            return [folder / shard for shard in shards]
    for name in _SINGLE_FILES:
        if (folder / name).is_file():
            return [folder / name]
    names = ', '.join((*_INDEX_FILES, *_SINGLE_FILES))
    raise AffordanceError(Code.MISSING_WEIGHTS, f'{folder} holds no weights (looked for {names})')


def read_tensors(files: Iterable[Path]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield (key, tensor) of every file.

    Files are mapped, and the pages of a tensor are handed back when the next one is asked for: what is read is in
    memory once, as the caller's copy. An old .bin that is no zip archive is read whole.
    """
    for path in files:
        try:
            if path.suffix == '.safetensors':
                with safe_open(str(path), framework='pt') as shard:
                    for key in shard.keys():  # noqa: SIM118  (not a dict)
                        tensor = shard.get_tensor(key)
                        yield key, tensor
                        forget_pages(tensor, path)
            else:
                for key, tensor in _load_bin(path):
                    yield key, tensor
                    forget_pages(tensor, path)
        except pickle.UnpicklingError as error:
            raise AffordanceError(Code.BAD_CHECKPOINT, f'{path} holds more than tensors and is not trusted') from error
        except (SafetensorError, RuntimeError, ValueError, EOFError, OSError) as error:
            raise AffordanceError(Code.BAD_CHECKPOINT, f'{path} cannot be read: {error}') from error


def read_shapes(files: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor, without reading its values."""
    return {key: tuple(tensor.shape) for key, tensor in read_tensors(files)}


def _load_bin(path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    content = torch.load(path, map_location='cpu', weights_only=True, mmap=_can_mmap(path))
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ValueError('it must hold tensors by name')
    yield from content.items()


def _can_mmap(path: Path) -> bool:
    with path.open('rb') as file:
        return file.read(2) == b'PK'  # the zip format; older pickles have to be read whole


class StrictLoader:
    """Fills the parameters of a module built on the meta device; `finish` names every key that did not match.

    where: the device of all parameters, or a function from the name of a parameter to its device. change: what is done
    to (name, tensor of the final type and device) before it is stored, such as adding a LoRA.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        where: torch.device | Callable[[str], torch.device],
        dtype: torch.dtype,
        *,
        change: Callable[[str, torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        self._module = module
        self._where: Callable[[str], torch.device] = (lambda _: where) if isinstance(where, torch.device) else where
        self._dtype, self._change = dtype, change
        self._wanted = {name: parameter.shape for name, parameter in module.named_parameters(remove_duplicate=False)}
        for name, part in module.named_modules():
            if isinstance(part, QuantizedLinear):
                self._wanted[f'{name}.weight'] = torch.Size((part.out_features, part.in_features))
        self._seen: set[str] = set()
        self._unexpected: list[str] = []
        self._misshaped: list[str] = []

    def has(self, name: str) -> bool:
        """Tell whether the module has a parameter of this name."""
        return name in self._wanted

    def put(self, key: str, name: str, tensor: torch.Tensor) -> None:
        """Store `tensor`, which the checkpoint calls `key`, as parameter `name`."""
        if name not in self._wanted:
            self._unexpected.append(key)
        elif tensor.shape != self._wanted[name]:
            self._misshaped.append(f'{key} is {tuple(tensor.shape)}, not {tuple(self._wanted[name])}')
            self._seen.add(name)
        else:
            self._store(name, tensor)
            self._seen.add(name)

    def _store(self, name: str, tensor: torch.Tensor) -> None:
        owner_name, _, leaf = name.rpartition('.')
        owner, device = self._module.get_submodule(owner_name), self._where(name)
        value = tensor
        if self._change is not None:
            value = self._change(name, tensor.to(device=device, dtype=self._dtype, copy=True))
        if isinstance(owner, QuantizedLinear) and leaf == 'weight':
            owner.fill(value, device)
        else:
            value = value.to(device=device, dtype=self._dtype, copy=value is tensor)
            setattr(owner, leaf, torch.nn.Parameter(value, requires_grad=False))

    def finish(self, source: str, *, may_miss: Callable[[str], bool] = lambda _: False) -> None:
        """Raise BAD_CHECKPOINT naming missing, unexpected and mis-shaped keys of `source`."""
        missing = [name for name in self._wanted if name not in self._seen and not may_miss(name)]
        problems = [
            f'{len(keys)} {kind}: {", ".join(keys[:5])}{", ..." if len(keys) > 5 else ""}'
            for kind, keys in (('missing', missing), ('unexpected', self._unexpected), ('mis-shaped', self._misshaped))
            if keys
        ]
        if problems:
            raise AffordanceError(Code.BAD_CHECKPOINT, f'{source} does not fit the model; {"; ".join(problems)}')
