# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance doctor`: what is installed and what is not, one line each, with the way out."""

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from affordance_ros.cli.failures import FAILED
from affordance_ros.cli.versions import installed
from affordance_ros.models import list_models

_MARKS = {'ok': ('  ok    ', 'green'), 'missing': (' missing', 'bold red'), 'note': ('  note  ', 'yellow')}
_LIBRARIES = (
    ('numpy', 'numpy', 'pip install "numpy>=1.26"'),
    ('opencv', 'cv2', 'pip install opencv-python-headless'),
    ('rosbags', 'rosbags', 'pip install rosbags'),
    ('torch', 'torch', 'pip install torch (with a GPU: the build for your CUDA)'),
    ('transformers', 'transformers', 'pip install transformers'),
    ('open3d', 'open3d', 'pip install open3d; it needs apt: libusb-1.0-0 libgl1 libgomp1 libegl1 libx11-6'),
)
_GPU = 'import torch; print(torch.cuda.get_device_name(0) if torch.cuda.is_available() else "")'
_FREE_GB = 2.0
_SHARED_MEMORY = Path('/dev/shm')
_SEGMENT = re.compile('fastrtps_[0-9a-f]{16}')


@dataclass(frozen=True)
class Finding:
    """One line. state: 'ok', 'missing' or 'note' (works without)."""

    state: str
    name: str
    detail: str
    way_out: str = ''


def run_doctor(*, ros: bool = False, wait_s: float = 10.0) -> None:
    """Print every finding, with `ros` those of the live graph; exits with 1 when something needed is missing.

    wait_s: how long to wait for what is not on the graph.
    """
    console = Console(soft_wrap=True, highlight=False)
    missing = 0
    with console.status('looking'):
        for finding in graph_findings(wait_s) if ros else findings():
            mark, style = _MARKS[finding.state]
            way_out = f' -> {finding.way_out}' if finding.way_out else ''
            console.print(Text.assemble((mark, style), f' {finding.name:<22} {finding.detail}', (way_out, 'bold')))
            missing += finding.state == 'missing'
    console.print('everything that is needed is there' if not missing else f'{missing} needed thing(s) missing')
    if missing:
        raise typer.Exit(FAILED)


def graph_findings(wait_s: float) -> Iterator[Finding]:
    """Yield what is found on the ROS graph of this shell; a process of its own looks."""
    command = [sys.executable, '-m', 'affordance_ros.nodes.graph_check', str(wait_s)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        if line.startswith('{'):
            yield Finding(**json.loads(line))
    errors = process.stderr.read().strip().splitlines()
    if process.wait():
        way = 'run: make setup (or source your workspace), then: affordance doctor'
        yield Finding('missing', 'graph', errors[-1] if errors else 'the check ended without a word', way)


def findings() -> Iterator[Finding]:
    """Yield what was found, in the order in which a set-up goes."""
    fits = sys.version_info[:2] >= (3, 11)
    way = '' if fits else 'use Python 3.11, 3.12 or 3.13'
    yield Finding('ok' if fits else 'missing', 'python', f'{platform.python_version()} in {sys.prefix}', way)
    yield from _ros()
    for name, module, way_out in _LIBRARIES:
        yield _library(name, module, way_out)
    yield _gpu()
    yield from _checkpoints()
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    low = free < _FREE_GB
    yield Finding('note' if low else 'ok', 'disk', f'{free:.1f} GB free here', 'free some space' if low else '')
    yield _shared_memory()
    yield from left_in(_SHARED_MEMORY)


def left_in(folder: Path) -> Iterator[Finding]:
    """Yield a note when images of Fast DDS lie in shared memory that no process has open: theirs was killed."""
    segments = {str(path): path for path in folder.glob('fastrtps_*') if _SEGMENT.fullmatch(path.name)}
    try:
        sizes = {name: path.stat().st_size for name, path in segments.items() if path.stat().st_uid == os.getuid()}
    except OSError:
        return  # one of them ended just now
    for maps in Path('/proc').glob('[0-9]*/maps'):
        try:
            mapped = {line.split(maxsplit=5)[-1] for line in maps.read_text().splitlines() if str(folder) in line}
        except OSError:
            continue  # it has ended, or is of another user, who does not use our files
        sizes = {name: size for name, size in sizes.items() if name not in mapped}
    if sizes:
        detail = f'{sum(sizes.values()) / 2**20:.0f} MiB in {len(sizes)} file(s) of ROS programs that were killed'
        way = f'when no ROS program runs: rm {folder}/fastrtps_* {folder}/sem.fastrtps_*'
        yield Finding('note', 'shared memory left', detail, way)


def _spec(module: str) -> str:
    """Return where a module lies, '' when it is not there."""
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return ''
    return str(found.origin or '') if found else ''


def _ros() -> Iterator[Finding]:
    where = _spec('rclpy')
    if not where:
        yield Finding('missing', 'rclpy', 'not installed', 'make setup, or source /opt/ros/jazzy/setup.bash')
    else:
        flavour = 'apt' if where.startswith('/opt/ros') else 'wheels' if installed('ros-rclpy') else 'source build'
        distro = os.environ.get('ROS_DISTRO', '')
        yield Finding('ok', 'rclpy', f'ROS 2 {distro or "Jazzy"} from {flavour}')
    built = bool(_spec('affordance_ros.msg') and _spec('affordance_ros.srv') and _spec('affordance_ros.action'))
    way = '' if built else 'make setup, or colcon build and source install/setup.bash'
    yield Finding('ok' if built else 'missing', 'our interfaces', 'built' if built else 'not built', way)
    tf = bool(_spec('tf2_msgs'))
    way = '' if tf else 'make setup, or apt install ros-jazzy-tf2-msgs'
    yield Finding('ok' if tf else 'missing', 'tf2_msgs', 'there' if tf else 'not built', way)
    launch = bool(_spec('launch_ros'))
    detail = 'there' if launch else 'not installed: launch files need a full ROS 2; the nodes run without'
    yield Finding('ok' if launch else 'note', 'launch_ros', detail)


def _library(name: str, module: str, way_out: str) -> Finding:
    """Import a library in a process of its own: a broken one must not take the doctor along."""
    command = [sys.executable, '-c', f'import {module} as m; print(getattr(m, "__version__", "there"))']
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return Finding('missing', name, 'the import does not end', way_out)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f'ended with {done.returncode}'])[-1]
        return Finding('missing', name, last, way_out)
    return Finding('ok', name, done.stdout.strip().splitlines()[-1])


def _gpu() -> Finding:
    try:
        done = subprocess.run([sys.executable, '-c', _GPU], capture_output=True, text=True, timeout=120, check=False)
        name = done.stdout.strip()
    except subprocess.TimeoutExpired:
        name = ''
    if name:
        return Finding('ok', 'gpu', name)
    if shutil.which('nvidia-smi'):
        return Finding('note', 'gpu', 'there is one, but torch does not see it', 'install the torch build for its CUDA')
    return Finding('note', 'gpu', 'none: pocket checkpoints run on the CPU, the 7B models want one')


def _checkpoints() -> Iterator[Finding]:
    for entry in list_models():
        if entry.name == 'fake':
            continue
        if entry.pocket:
            yield Finding('ok', f'{entry.name} pocket', str(entry.pocket))
        else:
            yield Finding('note', f'{entry.name} pocket', 'none in this package', f'get one: {entry.get_checkpoint}')


def _shared_memory() -> Finding:
    folder = _SHARED_MEMORY
    if not folder.is_dir():
        return Finding('note', 'shared memory', 'no /dev/shm: images cross processes slowly')
    free = shutil.disk_usage(folder).free / 2**20
    low = free < 64
    way = 'start the container with --shm-size=512m' if low else ''
    return Finding('note' if low else 'ok', 'shared memory', f'{free:.0f} MiB free in /dev/shm', way)
