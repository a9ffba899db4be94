# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every kind of refusal is in the log, and none fills it."""

import pytest

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.nodes import refusal_log  # noqa: E402

pytestmark = pytest.mark.ros


def test_each_kind_is_told_once_in_a_while(monkeypatch) -> None:
    now, lines = [0.0], []
    monkeypatch.setattr(refusal_log.time, 'monotonic', lambda: now[0])
    log = refusal_log.RefusalLog(lines.append)
    for step in range(100):  # ten seconds
        now[0] = step / 10
        log.tell(AffordanceError(Code.STALE, f'the newest image is {2 + step / 10:.2f} s old'))
        if step == 30:
            log.tell(AffordanceError(Code.BAD_INPUT, 'there is no camera elbow'))
    assert lines == [
        'STALE: the newest image is 2.00 s old',
        'BAD_INPUT: there is no camera elbow',
        'STALE: the newest image is 7.00 s old (49 more like it since it was last told)',
    ]


def test_endless_kinds_are_not_kept() -> None:
    lines: list[str] = []
    log = refusal_log.RefusalLog(lines.append)
    for number in range(5000):
        log.tell(AffordanceError(Code.BAD_INPUT, f'camera {"x" * (number % 1000)}'))
    assert len(log._kinds) <= refusal_log.MOST_KINDS  # noqa: SLF001 - memory


def test_continuous_mode_does_not_fill_the_log(suite) -> None:
    suite.start_camera()
    options = {'model.options': '{"fail": "UNPARSABLE_ANSWER"}', 'model.warmup': False, 'run.max_rate': 30.0}
    node = suite.start('affordance_node', {'model.name': 'fake'} | options)
    suite.client.wait_active('/affordance_node')
    status = suite.client.listen(DiagnosticArray, '/diagnostics')
    suite.client.call(srv.SetPrompt, '/affordance_node/set_prompt', query='point at the mug')

    def refused() -> int:
        values = {v.key: v.value for array in status[-2:] for s in array.status for v in s.values}
        return int(values.get('refused UNPARSABLE_ANSWER', 0))

    suite.client.wait_for(lambda: refused() > 20, 60.0, 'many refusals')
    told = node.text.count('UNPARSABLE_ANSWER: ')
    assert 1 <= told <= 1 + refused() // 5
