# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw a scene from a seed: objects without overlap, table, light and camera. Same arguments, same scene."""

import colorsys
from dataclasses import dataclass

import numpy as np

from affordance_ros.results import Intrinsics
from affordance_ros.scenes.catalogue import CLASSES, COLORS, FACES_CAMERA, PartShape
from affordance_ros.scenes.meshes import Array
from affordance_ros.scenes.scene import Light, PlacedPart, Scene, TableLook
from affordance_ros.scenes.sentences import ScenePart


@dataclass(frozen=True)
class CameraPreset:
    """Image size in pixels; focal length in image widths, distance to the table, elevation: drawn from a range."""

    width: int
    height: int
    focal: tuple[float, float] = (0.92, 1.15)
    distance_m: tuple[float, float] = (0.5, 0.9)
    elevation_deg: tuple[float, float] = (32.0, 70.0)


PRESETS = {
    'vga': CameraPreset(640, 480),
    'hd': CameraPreset(1280, 720, focal=(0.70, 0.85), distance_m=(0.5, 1.2)),
    'pocket': CameraPreset(320, 240),
}
AREA_M = 0.19


def sample_scene(seed: int, preset: str = 'vga', *, must_have: tuple[str, str] | None = None) -> Scene:
    """Draw a scene.

    Args:
        seed: any non-negative integer; the scene does not depend on the image size of the preset.
        preset: a name in `PRESETS`.
        must_have: colour and class of an object that has to be there, for example ('red', 'mug').
    """
    if preset not in PRESETS:
        raise ValueError(f'preset must be one of {", ".join(PRESETS)}, got {preset!r}')
    if must_have is not None and (must_have[0] not in COLORS or must_have[1] not in CLASSES):
        raise ValueError(
            f'must_have must be a colour of {", ".join(COLORS)} and a class of {", ".join(CLASSES)}, got {must_have}'
        )
    rng = np.random.default_rng(seed)
    azimuth = rng.uniform(-np.pi, np.pi)
    intrinsics, table_from_camera = _camera(rng, PRESETS[preset], azimuth)
    placed = _objects(rng, azimuth, must_have)
    return Scene(seed, placed, _table(rng), _light(rng), intrinsics, table_from_camera)


def _camera(rng: np.random.Generator, preset: CameraPreset, azimuth: float) -> tuple[Intrinsics, Array]:
    focal = rng.uniform(*preset.focal) * preset.width
    center = (
        (preset.width - 1) / 2 + rng.uniform(-0.02, 0.02) * preset.width,
        (preset.height - 1) / 2 + rng.uniform(-0.02, 0.02) * preset.height,
    )
    intrinsics = Intrinsics(focal, focal, *center, width=preset.width, height=preset.height)
    distance, elevation = rng.uniform(*preset.distance_m), np.radians(rng.uniform(*preset.elevation_deg))
    aim = np.array([*rng.uniform(-0.03, 0.03, 2), 0.03])
    outwards = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    forward = -outwards
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    roll = np.radians(rng.uniform(-4, 4))
    down = np.cross(forward, right)
    right, down = np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack((right, down, forward))
    pose[:3, 3] = aim + distance * outwards
    return intrinsics, pose


def _choose(rng: np.random.Generator, must_have: tuple[str, str] | None) -> list[tuple[str, str]]:
    """Return (colour, class) pairs, all different; at most one is furniture; often two are of one class."""
    names, colors = list(CLASSES), list(COLORS)
    chosen = [must_have] if must_have else []
    count = int(rng.integers(2, 6))
    while len(chosen) < count:
        same = bool(chosen) and rng.random() < 0.25
        name = chosen[int(rng.integers(len(chosen)))][1] if same else names[int(rng.integers(len(names)))]
        pair = (colors[int(rng.integers(len(colors)))], name)
        furniture = name in FACES_CAMERA and any(other in FACES_CAMERA for _, other in chosen)
        if pair not in chosen and not furniture:
            chosen.append(pair)
    return chosen


def _objects(rng: np.random.Generator, azimuth: float, must_have: tuple[str, str] | None) -> tuple[PlacedPart, ...]:
    placed: list[PlacedPart] = []
    taken: list[tuple[Array, float]] = []
    for index, (color, name) in enumerate(_choose(rng, must_have)):
        shapes = CLASSES[name](rng)
        shown = azimuth if index == 0 and must_have else None
        pose = _free_place(rng, shapes, taken, (azimuth if name in FACES_CAMERA else None, shown))
        if pose is None:
            continue
        yaw, position = pose
        tint = _jitter(rng, COLORS[color])
        gloss = float(rng.uniform(0.05, 0.4))
        rotation = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        for shape in shapes:
            info = ScenePart(len(placed) + 1, index, name, color, shape.name, shape.actions)
            own = tint if shape.color is None else _jitter(rng, shape.color)
            mesh = shape.mesh.transformed(rotation, np.array([*position, 0.0]))
            placed.append(PlacedPart(info, mesh, own, shape.width_m, rotation @ np.array(shape.axis), gloss))
    return tuple(placed)


def _free_place(
    rng: np.random.Generator,
    shapes: list[PartShape],
    taken: list[tuple[Array, float]],
    azimuths: tuple[float | None, float | None],
) -> tuple[float, Array] | None:
    """Find a yaw and a place (2,) whose footprint touches no other; None after 60 tries.

    azimuths: of the camera, for furniture (turned to it, at the back) and for what must be seen well (in the middle,
    its handle not behind it); None otherwise.
    """
    furniture, shown = azimuths
    footprint = np.concatenate([shape.mesh.vertices[:, :2] for shape in shapes])
    middle = (footprint.min(axis=0) + footprint.max(axis=0)) / 2
    radius = float(np.linalg.norm(footprint - middle, axis=1).max())
    for _ in range(60):
        yaw = rng.uniform(-np.pi, np.pi) if furniture is None else furniture + np.pi / 2 + rng.uniform(-0.7, 0.7)
        center = rng.uniform(-AREA_M, AREA_M, 2)
        if furniture is not None:
            back = -rng.uniform(0.08, AREA_M) * np.array([np.cos(furniture), np.sin(furniture)])
            center = back + rng.uniform(-0.08, 0.08, 2)
        elif shown is not None:
            yaw, center = shown + rng.uniform(-1.7, 1.7), center * 0.5
        if all(np.linalg.norm(center - other) > 0.86 * (radius + reach) for other, reach in taken):
            taken.append((center, radius))
            turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
            return float(yaw), center - turn @ middle
    return None


def _jitter(rng: np.random.Generator, color: tuple[float, float, float]) -> tuple[float, float, float]:
    hue, saturation, value = colorsys.rgb_to_hsv(*color)
    hue = (hue + rng.uniform(-0.012, 0.012)) % 1
    return colorsys.hsv_to_rgb(hue, min(1, saturation * rng.uniform(0.9, 1.1)), min(1, value * rng.uniform(0.88, 1.1)))


def _table(rng: np.random.Generator) -> TableLook:
    base = colorsys.hsv_to_rgb(rng.uniform(0, 1), rng.uniform(0.03, 0.35), rng.uniform(0.25, 0.75))
    second = tuple(float(channel * rng.uniform(0.6, 0.92)) for channel in base)
    pattern = ('plain', 'stripes', 'checker', 'grain')[int(rng.integers(4))]
    return TableLook(
        (base, (second[0], second[1], second[2])), pattern, float(rng.uniform(0.04, 0.14)), float(rng.uniform(0, np.pi))
    )


def _light(rng: np.random.Generator) -> Light:
    azimuth, elevation = rng.uniform(-np.pi, np.pi), np.radians(rng.uniform(40, 80))
    direction = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    warm = rng.uniform(-0.06, 0.06)
    return Light(direction, float(rng.uniform(0.3, 0.5)), (1 + warm, 1.0, 1 - warm))
