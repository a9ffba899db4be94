# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where something can be put down: a patch around a point, large and flat enough, level, with free space above."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.results import Abstention, Contact, PlaceTarget

Array = npt.NDArray[Any]
SECTORS, RINGS = 12, 3
DOUBT_DEG = 5.0  # a normal that is not known any better does not make a slope level


@dataclass(frozen=True)
class PlaceSettings:
    """What is put down and how even the ground must be. Lengths in metres, angles in degrees.

    radius_m, height_m: of the thing that is put down. uneven_m: largest height difference under it, beside the noise.
    level_deg: largest slope where up is known. covered: least share of the patch that was seen. search_m: how far from
    the point a free place is looked for.
    """

    radius_m: float = 0.04
    height_m: float = 0.15
    uneven_m: float = 0.004
    level_deg: float = 10.0
    covered: float = 0.9
    search_m: float = 0.06


def place_contact(cloud: SceneCloud, contact: Contact, settings: PlaceSettings) -> PlaceTarget | Abstention:
    """Return where to put a thing down at a contact, or nearby. Abstains as NOT_FLAT, NOT_FREE or NO_DEPTH."""
    offsets, _ = cloud.near(contact.point, settings.search_m + 2 * settings.radius_m + 0.03)
    if len(offsets) < 20:
        text = 'too little depth around the point to tell whether a thing can stand there'
        return Abstention(Code.NO_DEPTH, f'{text}; move the camera', contact.label, contact.pixel, {})
    normal = np.asarray(contact.normal)
    up = cloud.up
    slope = 0.0 if up is None else float(np.degrees(np.arccos(np.clip(normal @ up, -1, 1))))
    doubt = 2 * float(np.degrees(contact.evidence.get('normal_sigma', 0.0)))
    if slope > settings.level_deg + min(doubt, DOUBT_DEG):
        text = f'the surface slopes by {slope:.0f} degrees'
        return Abstention(
            Code.NOT_FLAT, f'{text}; point at a level place', contact.label, contact.pixel, {'slope': slope}
        )
    sigma = cloud.noise.sigma(float(contact.point[2]))
    # The plane is fitted to what is about the point; its own normal is better than that of a small window.
    ground = offsets[np.abs(offsets @ normal) < 3 * sigma + 0.006]
    middle, normal = _plane(ground if len(ground) >= 12 else offsets, normal)
    height = (offsets - middle) @ normal
    flat = offsets - np.outer(height, normal)
    tried = [_patch(flat, height, move, sigma, settings) for move in _moves(normal, settings.search_m)]
    free = [item for item in tried if isinstance(item, tuple)]
    if not free:
        first = tried[0]
        assert isinstance(first, Code)
        text = {
            Code.NOT_FREE: 'something stands or hangs where the thing would go',
            Code.NOT_FLAT: 'no patch near the point is flat and large enough',
        }[first]
        away = f'{text} within {1000 * settings.search_m:.0f} mm; point at a free place'
        return Abstention(first, away, contact.label, contact.pixel, {'tried': float(len(tried)), 'slope': slope})
    move, covered, uneven, room = max(free, key=lambda item: _worth(item, sigma, settings)[1])
    side = np.cross(normal, contact.axis)
    side /= max(float(np.linalg.norm(side)), 1e-9)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack((np.cross(side, normal), side, normal))
    pose[:3, 3] = contact.point + (middle @ normal) * normal + move
    scores, score = _worth((move, covered, uneven, room), sigma, settings)
    return PlaceTarget(contact, pose, settings.radius_m, room, score, scores, contact.label)


def _worth(
    patch: tuple[Array, float, float, float], sigma: float, settings: PlaceSettings
) -> tuple[dict[str, float], float]:
    """Return the named sub-scores of a patch and their product."""
    move, covered, uneven, room = patch
    scores = {
        'covered': covered,
        'flat': float(np.exp(-0.5 * (uneven / (settings.uneven_m + 2.5 * sigma)) ** 2)),
        'room': float(np.clip(0.5 + 0.5 * room / 0.05, 0, 1)),
        'near': float(np.exp(-((np.linalg.norm(move) / 0.06) ** 2))),
    }
    return scores, float(np.prod(list(scores.values())))


def _plane(points: Array, normal: Array) -> tuple[Array, Array]:
    middle = np.median(points, axis=0)
    fitted = np.linalg.eigh((points - middle).T @ (points - middle))[1][:, 0]
    return middle, fitted if fitted @ normal > 0 else -fitted


def _moves(normal: Array, reach: float) -> list[Array]:
    """Return shifts along the surface: none first, then rings outwards."""
    side = np.cross(normal, (0.0, 0, 1.0) if abs(normal[2]) < 0.9 else (1.0, 0, 0))
    side /= np.linalg.norm(side)
    other = np.cross(normal, side)
    moves = [np.zeros(3)]
    for share in (1 / 3, 2 / 3, 1.0):
        for angle in np.arange(8) * np.pi / 4:
            moves.append(share * reach * (np.cos(angle) * side + np.sin(angle) * other))
    return moves


def _patch(
    flat: Array, height: Array, move: Array, sigma: float, settings: PlaceSettings
) -> tuple[Array, float, float, float] | Code:
    """Return (move, covered, uneven, room) of a patch where a thing can stand, or why it cannot."""
    away = np.linalg.norm(flat - move, axis=1)
    tall = (height > settings.uneven_m + 3 * sigma) & (height < settings.height_m)
    room = float((away[tall] - settings.radius_m).min(initial=0.05))
    if (tall & (away < settings.radius_m)).sum() > 2:
        return Code.NOT_FREE
    within = away < settings.radius_m
    level = np.abs(height) < settings.uneven_m + 3 * sigma
    covered = _covered((flat - move)[within & level], settings.radius_m)
    under = within & (np.abs(height) < 0.03)
    uneven = float(np.quantile(np.abs(height[under]), 0.95)) if under.sum() >= 6 else np.inf
    if covered < settings.covered or uneven > settings.uneven_m + 2.5 * sigma:
        return Code.NOT_FLAT
    return move, covered, uneven, max(0.0, room)


def _covered(points: Array, radius: float) -> float:
    """Return the share of a disc that holds ground, by cells. points: (N, 3) from its middle.

    A cell counts in full when it holds most of what cells of its size hold; at the edge of the image it does not.
    """
    if len(points) < SECTORS:
        return 0.0
    side, other = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][:2]
    x, y = points @ side, points @ other
    sector = ((np.arctan2(y, x) / (2 * np.pi) + 0.5) * SECTORS).astype(int) % SECTORS
    ring = np.minimum(np.hypot(x, y) / radius * RINGS, RINGS - 1).astype(int)
    area = np.repeat(2 * np.arange(RINGS) + 1.0, SECTORS).reshape(RINGS, SECTORS)
    density = np.bincount(ring * SECTORS + sector, minlength=RINGS * SECTORS).reshape(RINGS, SECTORS) / area
    # The cells of the inmost ring are smaller than the pitch of the cloud: it counts as one.
    density[0] = density[0].mean()
    usual = float(np.median(density[density > 0]))
    return float((np.minimum(density / (0.7 * usual), 1) * area).sum() / area.sum())
