# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run the graph under load and faults and report what became of every request.

python benchmarks/soak.py --minutes 10

A camera publishes 1280x720 RGB-D at 30 Hz with its pose on /tf. Clients ask, cancel, time out and flood; the model's
process is killed; images come malformed, without depth, without pose, and with stamps that jump. Nodes and camera are
processes of their own. The exit status is 1 when a goal is missed.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from soaking.camera import FAULTS  # noqa: E402
from soaking.graph import Graph, cpu_seconds, percentile  # noqa: E402

GOALS = {'lost': 0, 'growth MB': 20.0, 'overhead p50 ms': 10.0, 'overhead p95 ms': 25.0, 'idle CPU share': 0.15}
ASKS = ('point at 640,360', 'point at 640,360 and at 640,300', 'nothing', 'point at 9000,9000', '', 'x' * 5000)


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--minutes', type=float, default=10.0)
    parser.add_argument('--clients', type=int, default=3)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--rate', type=float, default=30.0, help='images per second')
    parser.add_argument('--idle', type=float, default=20.0, help='seconds in which nothing is asked')
    parser.add_argument('--clean', type=int, default=100, help='requests without faults, to measure the overhead')
    parser.add_argument('--json', type=Path, default=None, help='file for the report')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Graph(Path(folder), options.rate) as graph:
        report = run(graph, options)
    for name, value in report.items():
        print(f'{name:<32} {value}')
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
    return 1 if report['goals missed'] else 0


def run(graph: Graph, options: argparse.Namespace) -> dict[str, object]:
    """Measure idle, measure clean requests, then ask under faults; return the report."""
    graph.wait_active()
    idle = graph.cpu_share(options.idle)
    clean = graph.clean_requests(options.clean, idle)
    memory = [graph.memory()]
    tally: collections.Counter[str] = collections.Counter()
    ages: list[float] = []
    end = time.monotonic() + 60 * options.minutes
    clients = [
        threading.Thread(target=client_loop, args=(graph, random.Random(options.seed + n), end, tally, ages))
        for n in range(options.clients)
    ]
    disturber = threading.Thread(target=disturb, args=(graph, random.Random(options.seed), end, tally))
    before, begun = graph.cpu(), time.monotonic()
    for thread in (*clients, disturber):
        thread.start()
    while time.monotonic() < end:
        time.sleep(min(5.0, max(0.1, end - time.monotonic())))
        memory.append(graph.memory())
    for thread in (*clients, disturber):
        thread.join()
    busy = {name: (cpu - before[name]) / (time.monotonic() - begun) for name, cpu in graph.cpu().items()}
    graph.fault('none')
    measured = {'ages': ages, 'clean': clean, 'memory': memory, 'idle': idle, 'busy': busy, 'after': graph.serves()}
    return report_of(tally, measured)


def client_loop(
    graph: Graph, rng: random.Random, end: float, tally: 'collections.Counter[str]', ages: list[float]
) -> None:
    """Ask at random: by service, by action, with cancels and short time-outs; count what came back."""
    while time.monotonic() < end:
        query, timeout = rng.choice(ASKS), rng.choice((0.05, 0.3, 5.0, 5.0))
        if rng.random() < 0.4:
            cancel_after = rng.choice((None, 0.0, 0.02, 0.2))
            targets = graph.plan(query, timeout, cancel_after)
        else:
            targets = graph.ask(query, timeout)
        tally['asked'] += 1
        if targets is None:
            tally['lost'] += 1
            print(f'lost: {query[:40]!r} with {timeout} s', file=sys.stderr)
            continue
        tally[graph.code_name(targets)] += 1
        if not targets.outcome.code:
            ages.append(targets.image_age.sec + targets.image_age.nanosec * 1e-9)
        time.sleep(rng.uniform(0.0, 0.1))


def disturb(graph: Graph, rng: random.Random, end: float, tally: 'collections.Counter[str]') -> None:
    """Let one fault follow the other, with quiet times between."""
    while time.monotonic() < end:
        graph.fault(rng.choice(FAULTS))
        time.sleep(min(rng.uniform(0.3, 1.5), max(0.0, end - time.monotonic())))
        graph.fault('none')
        if rng.random() < 0.3:
            worker = graph.worker()
            if worker:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
                    tally['killed'] += 1
        time.sleep(min(rng.uniform(0.5, 2.0), max(0.0, end - time.monotonic())))


def grown(sizes: list[float]) -> float:
    """Return the growth after warm-up: the last third of the run against the second."""
    third = max(1, len(sizes) // 3)
    return float(np.median(sizes[-third:]) - np.median(sizes[third : 2 * third] or sizes[:third]))


def report_of(tally: 'collections.Counter[str]', measured: dict) -> dict[str, object]:
    """Return the report with the goals that are missed."""
    growth = {name: grown([sizes[name] / 1e6 for sizes in measured['memory']]) for name in measured['memory'][0]}
    overhead = measured['clean']['overhead']
    numbers = {
        'lost': tally['lost'],
        'growth MB': sum(growth.values()),
        'overhead p50 ms': 1000 * percentile(overhead, 50),
        'overhead p95 ms': 1000 * percentile(overhead, 95),
        'idle CPU share': max(measured['idle'].values()),
    }
    report: dict[str, object] = {name: round(float(value), 3) for name, value in numbers.items()}
    report['overhead p99 ms'] = round(1000 * percentile(overhead, 99), 1)
    report['overhead CPU ms'] = round(1000 * measured['clean']['cpu'][0], 1)
    report |= {f'growth MB {name}': round(size, 1) for name, size in growth.items()}
    report['memory MB'] = round(sum(measured['memory'][-1].values()) / 1e6, 1)
    report['worker kills'] = tally['killed']
    for point in (50, 95, 99):
        report[f'image age p{point} ms'] = round(1000 * percentile(measured['ages'], point), 1)
    report |= {f'idle CPU {name}': round(share, 3) for name, share in measured['idle'].items()}
    report |= {f'busy CPU {name}': round(share, 3) for name, share in measured['busy'].items()}
    report |= {f'answers {name}': count for name, count in sorted(tally.items()) if name != 'killed'}
    report['load of the machine'] = round(os.getloadavg()[1], 1)
    report['serves after all'] = measured['after']
    missed = [name for name, limit in GOALS.items() if numbers[name] > limit]
    report['goals missed'] = ', '.join(missed + ([] if measured['after'] else ['serves after all']))
    return report


if __name__ == '__main__':
    print(f'{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, this process so far {cpu_seconds(os.getpid()):.1f} s')
    sys.exit(main())
