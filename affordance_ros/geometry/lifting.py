# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From pixels to contacts on the visible surface, or to an abstention that says why not."""

from dataclasses import dataclass

import numpy as np

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.contacts import Seen, contacts_on, seen_on, too_few
from affordance_ros.geometry.depth import check_units
from affordance_ros.geometry.lift_settings import LiftSettings
from affordance_ros.geometry.region import settled
from affordance_ros.geometry.spots import Region, Spot, spots_of
from affordance_ros.geometry.surface import Plane
from affordance_ros.geometry.table import table_of
from affordance_ros.geometry.window import abstain, look, surfaces
from affordance_ros.results import Abstention, Contact, Frame, Prediction

__all__ = ['LiftSettings', 'Lifted', 'Spot', 'lift', 'lift_places', 'lift_spot', 'spots_of']


@dataclass(frozen=True)
class Lifted:
    """What became of one place: a contact or an abstention, and the region that the answer gave for it, if any."""

    item: Contact | Abstention
    region: Region | None = None


def lift(frame: Frame, prediction: Prediction, settings: LiftSettings) -> list[Contact | Abstention]:
    """Return contacts and abstentions for every place that the prediction names, best first."""
    return [lifted.item for lifted in lift_places(frame, prediction, settings)]


def lift_places(frame: Frame, prediction: Prediction, settings: LiftSettings) -> list[Lifted]:
    """Return what became of every place that the prediction names, with its region. A tie gives two for one place."""
    if prediction.in_words:
        return []
    refused = _unfit(frame)
    if refused is not None:
        return [Lifted(refused)]
    spots = spots_of(prediction)
    if spots:
        table = table_of(frame, settings.noise, settings.range_m)
        places = [settled(frame, spot, settings, table) for spot in spots]
        seen = [_seen(frame, place, settings, table) for place in places]
        regions = [place.region for place, items in zip(places, seen, strict=True) for _ in items]
        items = _lifted(frame, [item for items in seen for item in items], settings)
        return [Lifted(item, region) for item, region in zip(items, regions, strict=True)]
    if prediction.hands:
        text = 'nobody judged which hand acts, so no end of a path counts'
        return [Lifted(Abstention(Code.EMPTY_MODEL_OUTPUT, f"{text}; ask for one: task 'right_hand' or 'left_hand'"))]
    return [Lifted(Abstention(*prediction.why_empty))]


def _unfit(frame: Frame) -> Abstention | None:
    """Return why nothing of a frame can be lifted: NO_DEPTH, BAD_INPUT or UNITS."""
    if frame.depth is None:
        text = 'the frame has no depth image; publish one on depth/image, registered to the colour image'
        return Abstention(Code.NO_DEPTH, text)
    if frame.intrinsics is None:
        text = 'the frame has no intrinsics; publish camera_info beside the image'
        return Abstention(Code.BAD_INPUT, text)
    try:
        check_units(np.asarray(frame.depth[::4, ::4]))
    except AffordanceError as error:
        return Abstention(error.code, error.message)
    return None


def lift_spot(frame: Frame, spot: Spot, settings: LiftSettings) -> Contact | Abstention:
    """Lift one place to the surface under its pixel."""
    return lift_spots(frame, spot, settings, table_of(frame, settings.noise, settings.range_m))[0]


def lift_spots(
    frame: Frame, spot: Spot, settings: LiftSettings, table: Plane | None = None
) -> list[Contact | Abstention]:
    """Lift one place: metric window, surface under the pixel or the nearest significant one, fit, axis, covariance.

    Returns two contacts where another surface beside the pixel competes (see `ties`); the likelier one comes first.
    """
    return _lifted(frame, _seen(frame, spot, settings, table), settings)


def _lifted(frame: Frame, found: list[Seen | Abstention], settings: LiftSettings) -> list[Contact | Abstention]:
    """Return the same with a contact for every surface."""
    assert frame.intrinsics is not None
    seen = [item for item in found if isinstance(item, Seen)]
    contacts = iter(contacts_on(seen, frame.intrinsics, settings))
    return [item if isinstance(item, Abstention) else next(contacts) for item in found]


def _seen(frame: Frame, spot: Spot, settings: LiftSettings, table: Plane | None) -> list[Seen | Abstention]:
    """Return the surface that counts at a spot, the one that competes with it if any, or an abstention."""
    window = look(frame, spot, settings, table)
    if isinstance(window, Abstention):
        return [window]
    spans = surfaces(window, spot, settings)
    if not spans:
        measured = int(window.counts['valid_points'])
        if measured < settings.min_points:
            return [too_few(spot, measured, window.counts)]
        text = 'the depth at the point is scattered over many surfaces; none is clear enough; move the camera'
        return [abstain(Code.MULTI_SURFACE, text, spot, **window.counts)]
    tied = len(spans) > 1 and not spot.is_region
    if tied and settings.ties == 'abstain':
        text = 'two surfaces compete at the point; point at the middle of the part or move closer'
        return [abstain(Code.MULTI_SURFACE, text, spot, **window.counts)]
    if tied:
        window.counts['tie'] = 1.0
    chosen = spans[: 2 if settings.ties == 'both' and tied else 1]
    return [seen_on(window, spot, span, settings, len(spans)) for span in chosen]
