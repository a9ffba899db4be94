# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who serves a request while models come and go."""

import threading
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('affordance_ros.msg', reason='the interfaces are not built: make setup')

from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.nodes.model_choice import ModelChoice  # noqa: E402
from affordance_ros.nodes.model_host import ModelHost  # noqa: E402
from affordance_ros.nodes.parameters import AffordanceParameters  # noqa: E402
from affordance_ros.results import Frame, Query  # noqa: E402

pytestmark = pytest.mark.ros
FAKE = replace(AffordanceParameters(), model_name='fake', model_warmup=False, run_timeout_s=60.0)
FRAME = Frame(np.zeros((48, 64, 3), np.uint8))


class Log:
    """What a node logs."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.info = self.error = self.lines.append


@pytest.fixture
def host():
    models = ModelHost(Log())
    models.load(ModelChoice(), FAKE)
    yield models
    models.close()


def test_a_request_keeps_the_model_that_it_began_with(host) -> None:
    with host.hold() as held:
        pid = held.worker.pid
        swap = threading.Thread(target=host.load, args=(ModelChoice(), FAKE))
        swap.start()
        while host.worker is held.worker:
            swap.join(0.01)
        for _ in range(3):
            answer = held.predict(FRAME, Query('at 3,4'), 30.0, None, None)
            assert answer.keypoints.points.tolist() == [[3, 4]]
        assert held.worker.pid == pid
        with host.hold() as other:
            assert other.worker is not held.worker
        assert swap.is_alive()  # the first one is kept while it is in use
    swap.join(30.0)
    assert not swap.is_alive()
    assert held.worker.pid is None


def test_a_model_that_cannot_be_loaded_leaves_the_one_before(host) -> None:
    before = host.worker
    with pytest.raises(AffordanceError) as caught:
        host.load(ModelChoice('fakr'), FAKE)
    assert caught.value.code == Code.UNKNOWN_MODEL
    assert host.worker is before
    assert host.state == 'ready'


def test_one_load_at_a_time(host) -> None:
    slow = replace(FAKE, model_options='{"load_s": 2.0}')
    loading = threading.Thread(target=host.load, args=(ModelChoice(), slow))
    loading.start()
    while host._coming is None and loading.is_alive():  # noqa: SLF001 - the load is under way
        loading.join(0.01)
    with pytest.raises(AffordanceError) as caught:
        host.load(ModelChoice(), FAKE)
    assert caught.value.code == Code.BUSY
    loading.join(60.0)
    assert host.state == 'ready'


def test_a_closed_host_holds_nothing(host) -> None:
    host.close()
    assert (host.state, host.info().name) == ('none', '')
    with pytest.raises(AffordanceError) as caught, host.hold():
        pass
    assert caught.value.code == Code.NOT_ACTIVE
