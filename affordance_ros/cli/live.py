# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance eval live`: the nodes as processes, a driver that shows them the bag, and the files of a replay."""

import json
import os
import queue
import re
import subprocess
import threading
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml
from rich.console import Console

from affordance_ros.bags import BagContent, BagTopics, read_frames
from affordance_ros.cli.demo import require_ros
from affordance_ros.cli.evaluate import BagRequest, follow, prepared
from affordance_ros.cli.processes import Processes
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.gates import Gate, Verdict
from affordance_ros.evaluation.live import LiveAsker, RealTime, evaluate_in_real_time
from affordance_ros.evaluation.records import Json
from affordance_ros.evaluation.replay import OnAnswer
from affordance_ros.evaluation.run import Evaluation, evaluate_with
from affordance_ros.geometry.transforms import quaternion_from_matrix
from affordance_ros.models.base import ModelInfo
from affordance_ros.models.registry import MODELS

NO_TIMEOUT = Gate('timeouts', most=0.0)
NODES = ('affordance_node', 'target_node')
SILENT_S = 120.0  # beyond the time for an answer: the driver then has to say something
LOOK_FOR_POSE = 100  # frames
NOT_CONFIGURED = re.compile(r'could not configure: (\w+): (.+)')  # what a node of ours logs


@dataclass(frozen=True)
class LiveRequest:
    """What the command line asks for; see `affordance eval live --help`. rate: 0 shows one frame at a time."""

    bag: BagRequest
    rate: float = 0.0
    timeout_s: float = 30.0
    ready_s: float = 600.0
    running: bool = False
    prefix: str = ''
    affordance_node: str = '/affordance_node'
    target_node: str = '/target_node'


class Driver:
    """The driver process as `evaluation.live` talks to it."""

    def __init__(self, processes: Processes, process: 'subprocess.Popen[bytes]', silent_s: float) -> None:
        self._processes, self._process, self._silent_s = processes, process, silent_s
        self._nodes = [name for name in NODES if processes.started(name)]
        self._lines: queue.SimpleQueue[Json | None] = queue.SimpleQueue()
        assert process.stdout is not None
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def tell(self, order: Json) -> None:
        """Send an order."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b'\n')
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def hear(self) -> Json:
        """Return the next line. Raises AffordanceError when the driver or a node has ended or says nothing."""
        for _ in range(round(self._silent_s / 0.2)):
            try:
                line = self._lines.get(timeout=0.2)
            except queue.Empty:
                self._processes.check()
                self._look_at_logs()
                continue
            if line is None:
                raise self._ended()
            if 'failed' in line:
                raise AffordanceError(Code[line['code']], line['text'])
            return line
        raise AffordanceError(Code.TIMEOUT, f'the replay says nothing for {self._silent_s:.0f} s; see the logs')

    def _look_at_logs(self) -> None:
        """Raise what keeps a node that we started from being configured: it would wait for ever."""
        for name in self._nodes:
            found = NOT_CONFIGURED.search(self._processes.tail(name))
            if found is not None and found[1] in Code.__members__:
                raise AffordanceError(Code[found[1]], found[2])

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            if line.startswith(b'{'):
                self._lines.put(json.loads(line))
        self._lines.put(None)

    def _ended(self) -> AffordanceError:
        last = self._processes.tail('replay_driver')
        return AffordanceError(Code.INTERNAL, f'the replay driver ended; the last lines of its log:\n{last}')


def run_live(request: LiveRequest) -> None:
    """Start or join the nodes, replay, print how it ended; exits with 1 when a gate failed or an answer timed out."""
    require_ros()
    console = Console()
    content, evaluation = prepared(request.bag)
    real_time = RealTime(request.rate, request.timeout_s) if request.rate else None
    mode = f'live, real time x{request.rate:g}' if real_time else 'live, one frame at a time'
    evaluation = replace(evaluation, mode=mode, gates=(*evaluation.gates, NO_TIMEOUT))
    total = content.images * len(evaluation.settings.prompts)
    with Processes(request.bag.out / 'logs', own_domain=not request.running) as processes:
        with console.status('starting the nodes'):
            if not request.running:
                _start_suite(processes, request, content, evaluation)
            driver = _start_driver(processes, request, evaluation)
            info = _model_info(driver.hear()['model'])

        def work(on_answer: OnAnswer) -> tuple[Verdict, ...]:
            if real_time is not None:
                return evaluate_in_real_time(evaluation, driver, info, real_time, on_answer)
            return evaluate_with(evaluation, LiveAsker(driver, info, request.timeout_s), on_answer)

        follow(console, request.bag.out, total, work)


def _start_suite(processes: Processes, request: LiveRequest, content: BagContent, evaluation: Evaluation) -> None:
    asked, topics = request.bag, evaluation.settings.topics
    compressed = {
        name: content.kinds.get(name, '').endswith('CompressedImage') for name in (topics.image, topics.depth)
    }
    affordance: dict[str, Any] = {
        'model.name': asked.model,
        'model.checkpoint': asked.checkpoint,
        'model.device': asked.device,
        'model.dtype': asked.dtype,
        'model.options': json.dumps(dict(asked.options)),
        'model.threads': int(os.environ.get('OMP_NUM_THREADS', '2')),  # as offline: sums round alike
        'model.load_timeout_s': request.ready_s,
        'input.image_transport': 'compressed' if compressed[topics.image] else 'raw',
        'input.depth_transport': 'compressedDepth' if compressed[topics.depth] else 'raw',
        'input.need_depth': bool(topics.depth),
        'input.depth_scale': topics.depth_scale,
        'input.slop_s': topics.slop_s,
        'run.timeout_s': request.timeout_s,
        'tf.target_frame': _target_frame(asked.bag, topics),
    }
    pipeline = evaluation.settings.pipeline
    target = {
        'gripper': asked.gripper,
        'window_m': pipeline.lift.window_m,
        'min_score': pipeline.grasp.min_score,
        'run.timeout_s': request.timeout_s,
    }
    for name, parameters in (('affordance_node', affordance), ('target_node', target)):
        file = asked.out / 'logs' / f'{name}.yaml'
        file.write_text(yaml.safe_dump({'/**': {'ros__parameters': {'use_sim_time': True, **parameters}}}))
        processes.start(name, ['--ros-args', '--params-file', str(file)])


def _target_frame(bag: Path, topics: BagTopics) -> str:
    """Return the frame that the offline replay gives its results in, '' when the bag has no transforms."""
    frames = islice(read_frames(bag, topics, on_bad=lambda *_: None), LOOK_FOR_POSE)
    return next((frame.target_frame for frame in frames if frame.target_frame), '')


def _start_driver(processes: Processes, request: LiveRequest, evaluation: Evaluation) -> Driver:
    arguments = ['--bag', str(request.bag.bag), '--topics', _topics_json(evaluation.settings.topics)]
    arguments += ['--prefix', request.prefix, '--ready-timeout', str(request.ready_s)]
    arguments += ['--affordance-node', request.affordance_node, '--target-node', request.target_node]
    process = processes.start('replay_driver', arguments, piped=True)
    return Driver(processes, process, 2 * request.timeout_s + request.ready_s + SILENT_S)


def _topics_json(topics: BagTopics) -> str:
    fields = {name: getattr(topics, name) for name in ('image', 'depth', 'camera_info', 'depth_info', 'slop_s')}
    known = asdict(topics.intrinsics) if topics.intrinsics is not None else None
    transforms = [
        {
            'parent': item.parent,
            'child': item.child,
            'xyz': np.asarray(item.parent_from_child)[:3, 3].tolist(),
            'xyzw': quaternion_from_matrix(np.asarray(item.parent_from_child)[:3, :3]).tolist(),
        }
        for item in topics.static_transforms
    ]
    return json.dumps({**fields, 'intrinsics': known, 'static_transforms': transforms})


def _model_info(line: Json) -> ModelInfo:
    """Return what the node says about its model; it does not tell everything."""
    entry = MODELS.get(line['name'])
    pocket = entry.pocket if entry is not None and line['checkpoint'] == 'pocket' else None
    return ModelInfo(
        name=line['name'],
        parameters=0,
        dtype=line['dtype'],
        device=line['device'],
        memory_bytes=int(line['memory_bytes']),
        code_licence='',
        weights_licence='',
        repository='',
        checkpoint=str(pocket or line['checkpoint']),
    )
