# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worker: frames and errors cross, requests stop, a dead child is replaced, and nothing outlives its parent."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import worker as worker_module
from affordance_ros.models.base import Progress
from affordance_ros.models.frame_transport import memory_file, read_frames, write_frames
from affordance_ros.models.worker import ModelWorker, WorkerSpec
from affordance_ros.models.worker_child import launch
from affordance_ros.models.worker_dialogue import Watch, reply_of
from affordance_ros.results import Frame, Intrinsics, Query

RGB = np.arange(48 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 64, 3)
FRAME = Frame(RGB)
QUERY = Query('point at 10,20')


def alive(pid: int) -> bool:
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def wait_gone(pid: int, timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if not alive(pid):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope='module')
def fast():
    with ModelWorker(WorkerSpec('fake')) as worker:
        yield worker


def test_frames_survive_the_memory_file():
    depth = np.linspace(0.5, 1, 48 * 63, dtype=np.float32).reshape(48, 63)
    frame = Frame(RGB[:, :63], depth, Intrinsics(50, 50, 31, 23, 63, 48), 123, 'cam', np.eye(4), 'table')
    fd = memory_file(1)
    first, second = read_frames(fd, write_frames(fd, [frame, FRAME]))
    os.close(fd)
    assert np.array_equal(first.rgb, frame.rgb)
    assert np.array_equal(first.depth, depth)
    assert first.intrinsics == frame.intrinsics
    assert first.stamp_ns == 123
    assert first.frame_id == 'cam'
    assert np.array_equal(first.target_from_camera, np.eye(4))
    assert first.target_frame == 'table'
    assert np.array_equal(second.rgb, RGB)
    assert second.depth is None


def test_answer_and_description_cross(fast):
    assert fast.predict(FRAME, QUERY).keypoints.points.tolist() == [[10, 20]]
    assert fast.predict([FRAME, FRAME], QUERY).keypoints.points.tolist() == [[10, 20]]
    assert fast.describe().name == 'fake'


def test_works_from_many_threads(fast):
    answers = {}

    def ask(u):
        answers[u] = fast.predict(FRAME, Query(f'at {u},3')).keypoints.points.tolist()

    threads = [threading.Thread(target=ask, args=(u,)) for u in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == {u: [[u, 3]] for u in range(6)}


def test_model_errors_keep_their_code():
    with ModelWorker(WorkerSpec('fake', options={'fail': 'OOM'})) as worker, pytest.raises(AffordanceError) as caught:
        worker.predict(FRAME, QUERY)
    assert caught.value.code == Code.OOM


@pytest.mark.parametrize(
    ('spec', 'code'),
    [
        (WorkerSpec('no_such'), Code.UNKNOWN_MODEL),
        (WorkerSpec('robopoint'), Code.MISSING_WEIGHTS),
        (WorkerSpec('fake', options={'nonsense': 1}), Code.BAD_INPUT),
        (WorkerSpec('fake', python_executable='/no/python'), Code.BAD_INPUT),
    ],
)
def test_load_errors_cross(spec, code):
    worker = ModelWorker(spec)
    with pytest.raises(AffordanceError) as caught:
        worker.start(60)
    assert caught.value.code == code
    assert worker.pid is None


@pytest.fixture(scope='module')
def slow():
    with ModelWorker(WorkerSpec('fake', options={'delay_s': 20.0})) as worker:
        yield worker


def test_progress_streams_and_stop_ends_the_request(slow):
    steps: list[Progress] = []
    start = time.monotonic()
    pid = slow.pid
    with pytest.raises(AffordanceError) as caught:
        slow.predict(FRAME, QUERY, progress=steps.append, stop=lambda: len(steps) > 5)
    assert caught.value.code == Code.CANCELED
    assert time.monotonic() - start < 5
    assert {'preprocess', 'generate'} <= {step.stage for step in steps}
    assert slow.pid == pid
    assert alive(pid)


def test_timeout_stops_the_model(slow):
    start = time.monotonic()
    with pytest.raises(AffordanceError) as caught:
        slow.predict(FRAME, QUERY, timeout_s=0.3)
    assert caught.value.code == Code.TIMEOUT
    assert time.monotonic() - start < 5


@pytest.mark.parametrize('word', ['progress', 'taken'])
def test_timeout_ends_the_waiting_for_a_model_that_talks_without_a_pause(word):
    class Talking:
        words = 0

        def poll(self, _):
            return True

        def recv(self):
            self.words += 1
            assert self.words < 10**6, 'the deadline was never looked at'
            return word, Progress('generate', 0.5)

    watch = Watch('fake', time.monotonic() + 0.05, lambda: False)
    with pytest.raises(AffordanceError) as caught:
        reply_of(SimpleNamespace(pipe=Talking(), ready=True), watch)
    assert caught.value.code == Code.TIMEOUT


def test_a_second_request_gives_up_while_the_first_runs(slow):
    stop = threading.Event()
    first = threading.Thread(
        target=lambda: pytest.raises(AffordanceError, slow.predict, FRAME, QUERY, None, stop.is_set)
    )
    first.start()
    time.sleep(0.3)
    with pytest.raises(AffordanceError) as caught:
        slow.predict(FRAME, QUERY, timeout_s=0.2)
    stop.set()
    first.join(10)
    assert caught.value.code == Code.BUSY


def test_an_error_of_the_callback_reaches_the_caller_and_the_worker_lives(slow):
    def broken(_):
        raise KeyError('mine')

    with pytest.raises(KeyError):
        slow.predict(FRAME, QUERY, progress=broken)
    with pytest.raises(AffordanceError) as caught:
        slow.predict(FRAME, QUERY, timeout_s=0.2)
    assert caught.value.code == Code.TIMEOUT


def test_a_killed_child_is_replaced():
    with ModelWorker(WorkerSpec('fake')) as worker:
        worker.predict(FRAME, QUERY)
        pid = worker.pid
        os.kill(pid, signal.SIGKILL)
        assert wait_gone(pid, 5)
        assert worker.predict(FRAME, QUERY).keypoints.points.tolist() == [[10, 20]]
        assert worker.pid != pid


def test_a_crash_during_a_request_is_told_and_the_next_call_restarts():
    with ModelWorker(WorkerSpec('fake', options={'die': True})) as worker:
        first = worker.pid
        for _ in range(2):
            with pytest.raises(AffordanceError) as caught:
                worker.predict(FRAME, QUERY)
            assert caught.value.code == Code.WORKER_DIED
            assert '13' in caught.value.message
        assert not alive(first)


def test_close_during_a_request_takes_under_three_seconds():
    worker = ModelWorker(WorkerSpec('fake', options={'delay_s': 60.0}))
    worker.start()
    pid, caught = worker.pid, []

    def ask():
        try:
            worker.predict(FRAME, QUERY)
        except AffordanceError as error:
            caught.append(error.code)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.3)
    start = time.monotonic()
    worker.close()
    assert time.monotonic() - start < 3
    assert wait_gone(pid, 3)
    thread.join(10)
    assert caught
    assert caught[0] in (Code.CANCELED, Code.WORKER_DIED, Code.NOT_ACTIVE)
    with pytest.raises(AffordanceError) as closed:
        worker.predict(FRAME, QUERY)
    assert closed.value.code == Code.NOT_ACTIVE


@pytest.mark.parametrize('delay_s', [0.0, 0.1, 0.4])
def test_close_while_the_child_is_being_started(monkeypatch, delay_s):
    launch, children = worker_module.launch, []

    def slow_launch(spec):
        children.append(launch(spec))
        time.sleep(0.4)  # a busy machine: the child runs, but we do not know it yet
        return children[-1]

    monkeypatch.setattr(worker_module, 'launch', slow_launch)
    worker, caught = ModelWorker(WorkerSpec('fake')), []

    def start():
        try:
            worker.start(60)
        except AffordanceError as error:
            caught.append(error.code)

    thread = threading.Thread(target=start)
    thread.start()
    time.sleep(0.05 + delay_s)
    begin = time.monotonic()
    worker.close()
    thread.join(10)
    assert time.monotonic() - begin < 3
    assert caught in ([], [Code.NOT_ACTIVE])  # empty: it was ready just before
    assert wait_gone(children[0].process.pid, 3)
    assert worker.pid is None


def test_the_child_leaves_when_the_parent_is_killed():
    script = (
        'import time; from affordance_ros.models.worker import ModelWorker, WorkerSpec; '
        "w = ModelWorker(WorkerSpec('fake')); w.start(); print(w.pid, flush=True); time.sleep(60)"
    )
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(path for path in sys.path if path)}
    parent = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.PIPE, env=env, text=True)
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.wait()
    assert wait_gone(pid, 5)


def test_another_python_can_run_the_child():
    with ModelWorker(WorkerSpec('fake', python_executable=sys.executable)) as worker:
        assert worker.predict(FRAME, QUERY).keypoints.points.tolist() == [[10, 20]]


def test_another_python_needs_neither_ros_nor_our_environment(tmp_path, monkeypatch):
    python = bare_environment(tmp_path / 'venv', 'numpy', 'numpy.libs')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path / 'of_ros'))
    (tmp_path / 'of_ros').mkdir()
    (tmp_path / 'of_ros' / 'numpy.py').write_text('raise RuntimeError("of another version of Python")')
    with ModelWorker(WorkerSpec('fake', python_executable=str(python))) as worker:
        assert worker.predict(FRAME, QUERY).keypoints.points.tolist() == [[10, 20]]
        command = Path(f'/proc/{worker.pid}/cmdline').read_bytes().split(b'\0')
    assert command[0].decode() == str(python)
    assert subprocess.run([python, '-c', 'import rclpy'], capture_output=True).returncode


def test_what_another_python_lacks_is_told(tmp_path):
    python = bare_environment(tmp_path / 'venv')
    worker = ModelWorker(WorkerSpec('fake', python_executable=str(python)))
    with pytest.raises(AffordanceError) as caught:
        worker.start(60)
    assert caught.value.code == Code.BAD_INPUT
    assert str(python) in caught.value.message
    assert "No module named 'numpy'" in caught.value.message
    assert worker.pid is None


def bare_environment(folder, *packages):
    """Return the Python of a new virtual environment that has `packages` of this one and nothing else."""
    subprocess.run([sys._base_executable, '-m', 'venv', '--without-pip', folder], check=True)  # noqa: SLF001
    theirs = next(folder.glob('lib/python*/site-packages'))
    for name in packages:
        ours = Path(np.__file__).parents[1] / name
        if ours.exists():
            (theirs / name).symlink_to(ours)
    return folder / 'bin' / 'python'


def test_a_child_that_ran_out_of_memory_is_replaced():
    told = []
    with ModelWorker(WorkerSpec('fake', options={'fail': 'OOM'}), tell=told.append) as worker:
        pid = worker.pid
        with pytest.raises(AffordanceError) as caught:
            worker.predict(FRAME, QUERY)
        assert caught.value.code == Code.OOM
        assert wait_gone(pid, 5)
        assert worker.pid not in (None, pid)
        assert 'ran out of memory' in told[0]


def test_loading_again_goes_on_when_requests_give_up():
    with ModelWorker(WorkerSpec('fake', options={'load_s': 2.0})) as worker:
        os.kill(worker.pid, signal.SIGKILL)
        assert wait_gone(worker.pid, 5)
        codes = []
        for timeout_s, stop in ((0.2, None), (None, lambda: True)):
            with pytest.raises(AffordanceError) as caught:
                worker.predict(FRAME, QUERY, stop=stop, timeout_s=timeout_s)
            codes.append(caught.value.code)
        assert codes == [Code.TIMEOUT, Code.CANCELED]
        loading = worker.pid
        assert worker.state == 'loading'
        assert worker.predict(FRAME, QUERY, timeout_s=60).keypoints.points.tolist() == [[10, 20]]
        assert worker.pid == loading


def test_a_child_that_dies_idle_is_replaced_without_a_request():
    told = []
    with ModelWorker(WorkerSpec('fake'), tell=told.append) as worker:
        pid = worker.pid
        os.kill(pid, signal.SIGKILL)
        assert wait_gone(pid, 5)
        end = time.monotonic() + 60
        while not (worker.deaths and worker.state == 'ready') and time.monotonic() < end:
            worker.look_after()
            time.sleep(0.02)
        assert (worker.state, worker.deaths) == ('ready', 1)
        assert worker.pid != pid
        assert 'signal 9' in told[0]
        assert len(told) == 1


def test_a_model_that_dies_while_loading_is_not_started_for_ever(monkeypatch):
    told = []
    with ModelWorker(WorkerSpec('fake'), tell=told.append) as worker:
        monkeypatch.setattr(worker_module, 'launch', lambda spec: launch(replace(spec, name='no_such')))
        os.kill(worker.pid, signal.SIGKILL)
        assert wait_gone(worker.pid, 5)
        end = time.monotonic() + 60
        while len(told) < 2 and time.monotonic() < end:
            worker.look_after()
            time.sleep(0.02)
        assert 'UNKNOWN_MODEL' in told[1]
        for _ in range(5):
            worker.look_after()
        assert (worker.state, worker.pid, len(told)) == ('ended', None, 2)
        with pytest.raises(AffordanceError) as caught:
            worker.predict(FRAME, QUERY)
        assert caught.value.code == Code.UNKNOWN_MODEL


def test_a_model_is_warm_before_it_is_ready():
    with pytest.raises(AffordanceError) as caught:
        ModelWorker(WorkerSpec('fake', options={'fail': 'OOM'}, warm_up=True)).start(60)
    assert caught.value.code == Code.OOM
    with ModelWorker(WorkerSpec('fake', options={'fail': 'UNPARSABLE_ANSWER'}, warm_up=True)) as worker:
        assert worker.state == 'ready'  # a grey image may mean nothing to a model


def test_a_real_model_answers_the_same_in_the_worker(robopoint_set):
    options = robopoint_set.options('vicuna_full')
    frame = Frame(robopoint_set.rgb('counter_640x480'))
    query = Query('Find a few spots within the vacant area to the right of the red mug.')
    want = robopoint_set.model('vicuna_full').predict(frame, query)
    spec = WorkerSpec('robopoint', options.pop('checkpoint'), options={**options, 'threads': 1})
    texts = []
    with ModelWorker(spec) as worker:
        got = worker.predict(frame, query, progress=lambda step: texts.append(step.text))
        with pytest.raises(AffordanceError) as caught:
            worker.predict(frame, query, stop=lambda: True)
        assert caught.value.code == Code.CANCELED
        assert worker.predict(frame, query).text == want.text
    assert got.text == want.text
    assert np.array_equal(got.keypoints.points, want.keypoints.points)
    assert any(text and want.text.startswith(text) for text in texts)
