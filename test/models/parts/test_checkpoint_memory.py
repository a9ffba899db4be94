# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loading holds a checkpoint once: the most memory a process ever used, seen by the system."""

import subprocess
import sys

import pytest

torch = pytest.importorskip('torch')
from safetensors.torch import save_file  # noqa: E402

LAYERS, ROWS, COLUMNS = 24, 2048, 1024
LOAD = f"""
import re, sys, torch
from pathlib import Path
from affordance_ros.models.parts.checkpoint import StrictLoader, read_tensors

def kilobytes(name):
    return int(re.search(name + r':\\s+(\\d+)', Path('/proc/self/status').read_text())[1])

folder = Path(sys.argv[1])
model = torch.nn.Module()
with torch.device('meta'):
    for index in range({LAYERS}):
        model.add_module(f'w{{index}}', torch.nn.Linear({COLUMNS}, {ROWS}, bias=False))
before = kilobytes('VmRSS')
loader = StrictLoader(model, torch.device('cpu'), torch.float16)
for key, tensor in read_tensors(sorted(folder.iterdir())):
    loader.put(key, key, tensor)
loader.finish('the checkpoint')
used = (kilobytes('VmHWM') - before) * 1024  # the highest mark; ru_maxrss would count the parent's too
print(used / sum(file.stat().st_size for file in folder.iterdir()))
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='counts memory as Linux does')
@pytest.mark.parametrize('ending', ['safetensors', 'bin'])
def test_the_peak_is_under_1_3_times_the_checkpoint(tmp_path, ending):
    for shard in range(2):
        names = [f'w{index}.weight' for index in range(shard, LAYERS, 2)]
        tensors = {name: torch.randn(ROWS, COLUMNS).half() for name in names}
        file = tmp_path / f'shard-{shard}.{ending}'
        save_file(tensors, file) if ending == 'safetensors' else torch.save(tensors, file)
    loaded = subprocess.run([sys.executable, '-c', LOAD, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert loaded.returncode == 0, loaded.stderr
    assert 0.8 < float(loaded.stdout) < 1.3
