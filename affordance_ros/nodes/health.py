# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an affordance_node shows on /diagnostics: input, model, stages, memory; and what is wrong in one sentence."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from affordance_ros.nodes.acceptance import FrameSource
from affordance_ros.nodes.cameras import Camera
from affordance_ros.nodes.model_host import ModelHost
from affordance_ros.nodes.serving import Server

COUNTS = ('images', 'depths', 'bundles', 'unpaired', 'jumps')


def input_health(source: FrameSource) -> dict[str, str]:
    """Return rates, counts and the age of the newest bundle, per camera."""
    values: dict[str, str] = {}
    for name, camera in source.cameras.items():
        prefix = f'{name} ' if name else ''
        newest = camera.store.newest
        values |= {f'{prefix}{key}': str(getattr(camera.store.counters, key)) for key in COUNTS}
        values |= {f'{prefix}{stream} Hz': f'{camera.rate(stream):.1f}' for stream in (*camera.topics, 'bundle')}
        values |= {f'{prefix}{stream} topic': camera.topic(stream) for stream in camera.topics}
        values[f'{prefix}image age s'] = f'{source.age_s(newest):.3f}' if newest else 'no image'
    values['depth valid ratio'] = f'{source.valid_ratio:.2f}' if np.isfinite(source.valid_ratio) else 'not known yet'
    return values


def model_health(models: ModelHost) -> dict[str, str]:
    """Return which model serves, its state, process and memory."""
    worker = models.worker
    pid = worker.pid if worker else None
    return {
        'model': worker.spec.name if worker else 'none',
        'model state': models.state,
        'model process': str(pid or 'none'),
        'model process deaths': str(models.deaths),
        'model MiB': f'{resident_bytes(pid) / 2**20:.0f}' if pid else '0',
        'model GPU MiB': f'{worker.gpu_bytes / 2**20:.0f}' if worker else '0',
        'node MiB': f'{resident_bytes() / 2**20:.0f}',
    }


def serving_health(server: Server) -> dict[str, str]:
    """Return counts of answers and refusals by code, and the time of every stage."""
    values = {'requests': str(server.line.requests), 'answered': str(server.answered)}
    values |= {f'refused {code}': str(count) for code, count in sorted(server.refusals.items())}
    return values | percentiles({name: list(seconds) for name, seconds in server.stages.items()})


def percentiles(seconds: Mapping[str, list[float]]) -> dict[str, str]:
    """Return 'NAME p50 ms' and 'NAME p95 ms' of every stage."""
    values = {}
    for name, taken in seconds.items():
        if taken:
            half, most = np.percentile(taken, (50, 95)) * 1000
            values |= {f'{name} p50 ms': f'{half:.1f}', f'{name} p95 ms': f'{most:.1f}'}
    return values


def trouble(source: FrameSource, models: ModelHost, silent_s: float) -> str:
    """Return what keeps the node from answering, '' when nothing does."""
    if models.worker is None:
        return 'no model is loaded'
    if models.state == 'restarting':
        return f'the process of model {models.worker.spec.name!r} has ended and is being started again'
    if models.state == 'ended':
        return f'the process of model {models.worker.spec.name!r} has ended; the next request starts it again'
    for camera in source.cameras.values():
        if text := _silent(camera, silent_s):
            return text
    return ''


def _silent(camera: Camera, silent_s: float) -> str:
    for stream in camera.topics:
        if camera.silence(stream) > silent_s:
            return f'nothing on {camera.topic(stream)} for {camera.silence(stream):.0f} s{camera.offered(stream)}'
    return ''


def resident_bytes(pid: int = 0) -> int:
    """Return the resident memory of a process (0: of this one), 0 when it is gone."""
    try:
        return int(Path(f'/proc/{pid or os.getpid()}/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')
    except (OSError, IndexError, ValueError):
        return 0
