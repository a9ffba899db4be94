#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""replay_driver: plays a bag to a running graph and asks it, for `affordance eval live`.

It takes one JSON object a line and answers with one or more, so that the program that evaluates needs no ROS:

    {"do": "show", "stamp_ns": 1}                        {"shown": true}
    {"do": "ask", "query": {"text": "..."}, "timeout_s": 30}   {"seconds": 0.2, "targets": "<CDR, base64>", ...}
    {"do": "play", "rate": 1.0, "queries": [...], ...}   one line per answer, then {"played": {...}}
"""

import argparse
import base64
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import rclpy
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions

from affordance_ros.bags import BagTopics
from affordance_ros.bags.recorded_frames import BagIndex, Entry
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.pose_buffer import StaticTransform
from affordance_ros.geometry.transforms import pose_from
from affordance_ros.nodes.bag_player import BagPlayer
from affordance_ros.nodes.graph_client import GraphClient, Reply
from affordance_ros.nodes.running import prepare_transport
from affordance_ros.results import Intrinsics

AGAIN_S, SNAPSHOT_S, JOIN_S = 0.5, 0.2, 30.0
# What may be true only because the image is still on its way.
ON_ITS_WAY = (Code.NO_IMAGE, Code.NO_DEPTH, Code.STALE, Code.TF, Code.NOT_ACTIVE, Code.TIMEOUT)


class ReplayDriver:
    """Does what the lines say; `say` takes the answers."""

    def __init__(self, player: BagPlayer, client: GraphClient, arrive_s: float) -> None:
        self._player, self._client, self._arrive_s = player, client, arrive_s
        self._stop = threading.Event()
        self._joined = False

    def do(self, order: dict[str, Any]) -> None:
        """Carry one order out."""
        if order['do'] == 'show':
            say(self.show(int(order['stamp_ns']), int(order.get('nth', 0))))
        elif order['do'] == 'ask':
            self._join(order['query'], order['timeout_s'])
            say(fields_of(self._client.ask(order['query'], order['timeout_s'])))
        elif order['do'] == 'play':
            self.play(order)
        else:
            raise AffordanceError(Code.BAD_INPUT, f'nobody knows how to {order["do"]!r}')

    def show(self, stamp_ns: int, nth: int = 0) -> dict[str, Any]:
        """Publish the nth image of a stamp until the node has it; what keeps the node from it is said."""
        deadline, sent, refusal = time.monotonic() + self._arrive_s, 0.0, None
        while time.monotonic() < deadline:
            if time.monotonic() - sent > AGAIN_S:
                sent = time.monotonic()
                refusal = self._player.show(stamp_ns, nth)
                if refusal is not None:
                    break
            stamp, refusal = self._client.newest(SNAPSHOT_S)
            if stamp == stamp_ns and refusal is None or refusal is not None and refusal.code not in ON_ITS_WAY:
                return {'shown': True}
            if stamp == stamp_ns and time.monotonic() > deadline - self._arrive_s / 2:
                return {'shown': True}  # its pose is not known: the answer will say so
            time.sleep(0.002)
        error = refusal or AffordanceError(Code.NO_IMAGE, 'the node took no notice of the image')
        return {'shown': False, 'code': error.code.name, 'text': error.message}

    def play(self, order: dict[str, Any]) -> None:
        """Play the bag at its pace and ask one question after the other about the newest image, until both have ended.

        No question is asked twice of one image.
        """
        queries, timeout = order['queries'], order['timeout_s']
        self.show(self._player.now_ns)
        self._join(queries[0], timeout)
        ended, pace = threading.Event(), []

        def run() -> None:
            pace.append(self._player.play(order['rate'], self._stop))
            ended.set()

        self._player.rewind()
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        asked, turn = [0] * len(queries), 0
        while True:
            played = self._player.played
            if ended.is_set() and (not played or played in asked):
                break
            if not played or asked[turn] == played:
                time.sleep(0.002)
                continue
            asked[turn] = played
            self._ask_about(self._player.shown, turn, queries[turn], timeout)
            turn = (turn + 1) % len(queries)
        thread.join()
        say({'played': {'images': pace[0].images, 'late_s': pace[0].late_s}})

    def _ask_about(self, newest: Entry, turn: int, query: dict[str, str], timeout: float) -> None:
        reply = self._client.ask(query, timeout)
        stamp = newest.stamp_ns
        if reply.answer is not None:
            head = reply.answer.header.stamp
            stamp = head.sec * 10**9 + head.nanosec
        say({'stamp_ns': stamp, 'nth': self._player.nth(stamp), 'prompt': turn, **fields_of(reply)})

    def _join(self, query: dict[str, str], timeout_s: float) -> None:
        if not self._joined:
            self._client.join(query, max(timeout_s, JOIN_S))
            self._joined = True


def fields_of(reply: Reply) -> dict[str, Any]:
    """Return a reply for JSON, its messages as CDR in base64."""
    fields: dict[str, Any] = {'seconds': reply.seconds}
    if reply.refusal is not None:
        return fields | {'code': reply.refusal.code.name, 'text': reply.refusal.message}
    coded = {name: _coded(getattr(reply, name)) for name in ('targets', 'answer')}
    return fields | coded | {'heatmaps': [_coded(image) for image in reply.heatmaps]}


def _coded(message: Any) -> str:
    return base64.b64encode(serialize_message(message)).decode()


def say(line: dict[str, Any]) -> None:
    """Print one JSON line."""
    print(json.dumps(line), flush=True)


def topics_of(text: str) -> BagTopics:
    """Return the topics that the program which evaluates has chosen, from JSON."""
    given = json.loads(text)
    known = given.pop('intrinsics', None)
    transforms = tuple(
        StaticTransform(item['parent'], item['child'], pose_from(item['xyz'], item['xyzw']))
        for item in given.pop('static_transforms', ())
    )
    return BagTopics(**given, intrinsics=Intrinsics(**known) if known else None, static_transforms=transforms)


def run(options: argparse.Namespace) -> None:
    """Wait for the graph, say so, and do what the lines say until there are no more."""
    client = GraphClient(options.affordance_node, options.target_node)
    with BagIndex(Path(options.bag), topics_of(options.topics)) as index:
        player = BagPlayer(client.node, index, options.prefix)
        try:
            info = client.wait_ready(options.ready_timeout)
            names = ('name', 'checkpoint', 'device', 'dtype', 'memory_bytes')
            say({'ready': True, 'model': {name: getattr(info, name) for name in names}})
            driver = ReplayDriver(player, client, options.arrive_timeout)
            for line in sys.stdin:
                driver.do(json.loads(line))
        finally:
            player.close()
            client.close()


def main() -> None:
    """Run the driver."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--bag', required=True)
    parser.add_argument('--topics', default='{}', help='BagTopics as JSON')
    parser.add_argument('--prefix', default='', help='namespace of the camera topics')
    parser.add_argument('--affordance-node', default='/affordance_node')
    parser.add_argument('--target-node', default='/target_node')
    parser.add_argument('--ready-timeout', type=float, default=600.0, help='seconds until the graph must be up')
    parser.add_argument('--arrive-timeout', type=float, default=10.0, help='seconds for one image to arrive')
    prepare_transport()
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)  # a signal must end the waiting too
    try:
        run(parser.parse_args(rclpy.utilities.remove_ros_args(sys.argv)[1:]))
    except AffordanceError as error:
        say({'failed': True, 'code': error.code.name, 'text': error.message})
        sys.exit(1)
    except KeyboardInterrupt:
        pass  # the program that evaluates has ended or was stopped
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
