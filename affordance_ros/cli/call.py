# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance call`: one question to a graph that runs, on the ROS domain of this shell."""

import json
import subprocess
import sys

import typer
from rich.console import Console
from rich.table import Table

from affordance_ros.cli.failures import complain, exit_code
from affordance_ros.errors import AffordanceError, Code

_READY_S = 10.0


def run_call(sentence: str, service: str, timeout_s: float) -> None:
    """Ask and print; exits with the code of the refusal when there is one."""
    if not sentence.strip() or not timeout_s > 0:
        raise AffordanceError(Code.BAD_INPUT, 'give a sentence and a positive timeout')
    command = [sys.executable, '-m', 'affordance_ros.nodes.demo_client', '--sentence', sentence, '--service', service]
    command += ['--timeout', str(timeout_s), '--ready-timeout', str(min(timeout_s, _READY_S))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{')]
    if not lines or lines[-1]['stage'] not in ('answer', 'failed'):
        last = (done.stderr.strip().splitlines() or ['it said nothing'])[-1]
        raise AffordanceError(Code.INTERNAL, f'the client failed: {last}; see: affordance doctor')
    if lines[-1]['stage'] == 'failed':
        raise AffordanceError(Code[lines[-1]['code']], lines[-1]['text'])
    response = lines[-1]['response']
    outcome = response['outcome']
    if outcome['code']:
        complain(Code(outcome['code']).name, outcome['message'])
        raise typer.Exit(exit_code(Code(outcome['code'])))
    table = Table(title=f'grasp targets in frame {response["header"]["frame_id"]}, best first', title_justify='left')
    for head in ('', 'grasp TCP, m', 'xyzw', 'width', 'score'):
        table.add_column(head)
    for index, target in enumerate(response['targets']):
        pose = target['grasp']
        place = ', '.join(f'{pose["position"][axis]:.3f}' for axis in 'xyz')
        turn = ', '.join(f'{pose["orientation"][axis]:.3f}' for axis in 'xyzw')
        table.add_row(str(index + 1), place, turn, f'{1000 * target["width_m"]:.0f} mm', f'{target["score"]:.2f}')
    Console().print(table)
