# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The answers of a model to messages and back: points, boxes, masks, paths, heatmaps."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from affordance_ros import msg
from affordance_ros.camera_messages import pixels_of
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes.conversions.basic import outcome_message
from affordance_ros.nodes.images import image_message
from affordance_ros.results import Boxes, HandTrajectory, Heatmap, Keypoints, Masks, Prediction, Query, Trace

STAGES = {'preprocess': 2, 'encode': 3, 'generate': 4, 'parse': 5, 'refine': 6}
FULL = 65535  # the grey level of 1.0 in a heatmap
PRESENCE = {
    None: msg.HandTrajectory.NOT_JUDGED,
    True: msg.HandTrajectory.PRESENT,
    False: msg.HandTrajectory.ABSENT,
}


def affordance_message(prediction: Prediction, error: AffordanceError | None = None) -> msg.Affordance:
    """Return the answer to one question."""
    message = msg.Affordance(query=prediction.query.sentence, text=prediction.text, reasoning=prediction.reasoning)
    if prediction.keypoints is not None:
        k = prediction.keypoints
        message.keypoints = [
            msg.Keypoint2D(u=float(p[0]), v=float(p[1]), score=float(s), label=name)
            for p, s, name in zip(k.points, np.asarray(k.scores), k.labels, strict=True)
        ]
    if prediction.boxes is not None:
        b = prediction.boxes
        message.boxes = [
            msg.Box2D(
                u_min=float(x[0]), v_min=float(x[1]), u_max=float(x[2]), v_max=float(x[3]), score=float(s), label=name
            )
            for x, s, name in zip(b.boxes, np.asarray(b.scores), b.labels, strict=True)
        ]
    message.masks = _mask_messages(prediction.masks)
    message.traces = [
        msg.Trace2D(u=list(t.points[:, 0]), v=list(t.points[:, 1]), label=t.label) for t in prediction.traces or ()
    ]
    message.hands = [_hand_message(hand) for hand in prediction.hands or ()]
    message.has_heatmap = prediction.heatmap is not None
    message.repairs = list(prediction.repairs)
    message.confidence = float(prediction.confidence)
    message.outcome = outcome_message(error)
    return message


def _hand_message(hand: HandTrajectory) -> msg.HandTrajectory:
    side = msg.HandTrajectory.LEFT if hand.side == 'left' else msg.HandTrajectory.RIGHT
    points = np.asarray(hand.points)
    spread = [float(value) for value in np.asarray(hand.spread_px)]
    return msg.HandTrajectory(
        side=side,
        presence=PRESENCE[hand.present],
        caveats=list(hand.caveats),
        times_s=list(np.asarray(hand.times_s)),
        u=list(points[:, 0]),
        v=list(points[:, 1]),
        spread_px=spread,
    )


def heatmap_message(heatmap: Heatmap, header: Header) -> Image:
    """Return a mono16 image; 65535 stands for 1.0."""
    return image_message(np.rint(heatmap.values * FULL).astype(np.uint16), 'mono16', header)


def heatmap_from(message: Image) -> Heatmap:
    """Return the heatmap of a mono16 image. Raises BAD_ENCODING or BAD_INPUT."""
    if message.encoding != 'mono16':
        raise AffordanceError(Code.BAD_ENCODING, f'a heatmap is mono16, this one is {message.encoding!r}')
    return Heatmap(pixels_of(message, np.uint16, 1)[..., 0].astype(np.float64) / FULL)


def _mask_messages(masks: Masks | None) -> list[msg.Mask2D]:
    if masks is None:
        return []
    return [
        msg.Mask2D(width=mask.shape[1], height=mask.shape[0], runs=runs_of(mask), score=float(score), label=name)
        for mask, score, name in zip(masks.masks, np.asarray(masks.scores), masks.labels, strict=True)
    ]


def runs_of(mask: npt.NDArray[np.bool_]) -> list[int]:
    """Return the run lengths of a mask (H, W), row by row, beginning with a run outside that may be 0."""
    flat = np.concatenate(([False], mask.ravel()))
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return [int(length) for length in np.diff(np.concatenate(([0], changes, [mask.size])))]


def mask_from(message: msg.Mask2D) -> npt.NDArray[np.bool_]:
    """Return the mask (H, W) of a message. Raises BAD_INPUT when the runs do not add up to its size."""
    runs = np.asarray(message.runs, dtype=np.int64)
    if int(runs.sum()) != message.width * message.height:
        text = f'the runs of a mask add up to {int(runs.sum())}, not to {message.width}x{message.height}'
        raise AffordanceError(Code.BAD_INPUT, text)
    inside = np.arange(len(runs)) % 2 == 1
    return np.asarray(np.repeat(inside, runs).reshape(message.height, message.width))


def prediction_from(
    message: msg.Affordance, model: str, seconds: Mapping[str, float], heatmap: Image | None = None
) -> Prediction:
    """Return the prediction that an Affordance carries; its heatmap comes beside it, in Evidence.

    Raises AffordanceError for masks and heatmaps that are no such thing.
    """
    keypoints = Keypoints(
        points=np.array([(k.u, k.v) for k in message.keypoints]).reshape(-1, 2),
        scores=np.array([k.score for k in message.keypoints]),
        labels=tuple(k.label for k in message.keypoints),
    )
    boxes = Boxes(
        boxes=np.array([(b.u_min, b.v_min, b.u_max, b.v_max) for b in message.boxes]).reshape(-1, 4),
        scores=np.array([b.score for b in message.boxes]),
        labels=tuple(b.label for b in message.boxes),
    )
    return Prediction(
        model=model,
        query=Query(text=message.query),
        text=message.text,
        reasoning=message.reasoning,
        keypoints=keypoints,
        boxes=boxes,
        masks=_masks_from(message.masks),
        heatmap=None if heatmap is None else heatmap_from(heatmap),
        traces=tuple(Trace(np.column_stack((t.u, t.v)), t.label) for t in message.traces),
        hands=tuple(_hand_from(hand) for hand in message.hands),
        repairs=tuple(message.repairs),
        confidence=float(message.confidence),
        seconds=seconds,
    )


def _masks_from(messages: Sequence[msg.Mask2D]) -> Masks | None:
    if not messages:
        return None
    masks = np.array([mask_from(message) for message in messages])
    return Masks(masks, np.array([m.score for m in messages]), tuple(m.label for m in messages))


def _hand_from(message: msg.HandTrajectory) -> HandTrajectory:
    side = 'left' if message.side == msg.HandTrajectory.LEFT else 'right'
    there = {number: present for present, number in PRESENCE.items()}
    points, times = np.column_stack((message.u, message.v)), np.asarray(message.times_s)
    spread, caveats = np.asarray(message.spread_px), tuple(message.caveats)
    return HandTrajectory(points, times, side, spread, present=there.get(message.presence), caveats=caveats)
