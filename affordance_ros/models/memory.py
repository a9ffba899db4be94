# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How much memory a checkpoint needs and how much is free, told without loading anything."""

import shutil
import subprocess
from pathlib import Path

WEIGHTS = ('*.safetensors', '*.bin', '*.pt', '*.pth')
BYTES = {'float32': 4, 'float16': 2, 'bfloat16': 2}
MARGIN = 1.15  # activations and the KV cache of one answer, beside the weights


def needed_bytes(checkpoint: str | Path, dtype: str, quantization: str | None = None) -> int:
    """Return what the weights of a checkpoint folder need in memory; 0 when it holds none.

    The stored type is taken to be 16 bit when config.json says so, else 32 bit.
    """
    folder = Path(checkpoint)
    files = {path for pattern in WEIGHTS for path in folder.glob(pattern)}
    if any(path.suffix == '.safetensors' for path in files):
        files = {path for path in files if path.suffix == '.safetensors'}  # both formats: one of them is loaded
    stored = sum(path.stat().st_size for path in files)
    config = folder / 'config.json'
    halved = config.is_file() and any(name in config.read_text() for name in ('"float16"', '"bfloat16"'))
    wanted = {'int8': 1.0, 'int4': 0.5}.get(quantization or '', float(BYTES.get(dtype, 4)))
    return int(stored * wanted / (2 if halved else 4) * MARGIN)


def free_bytes(device: str) -> int | None:
    """Return the free memory of the machine or of a CUDA device; None when it cannot be told."""
    if device == 'cpu':
        return _free_ram()
    if not device.startswith(('cuda', 'auto')) or not shutil.which('nvidia-smi'):
        return None
    query = ['nvidia-smi', '--query-gpu=memory.free', '--format=csv,noheader,nounits']
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=5.0, check=True)
        free = [int(line) * 2**20 for line in done.stdout.split()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    if device == 'auto':
        return sum(free)
    index = device.partition(':')[2] or '0'
    return free[int(index)] if index.isdecimal() and int(index) < len(free) else None


def _free_ram() -> int | None:
    try:
        lines = Path('/proc/meminfo').read_text().splitlines()
    except OSError:
        return None
    values = dict(line.split(':', 1) for line in lines)
    return int(values['MemAvailable'].split()[0]) * 1024 if 'MemAvailable' in values else None
