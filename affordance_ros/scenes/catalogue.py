# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The object classes of the scenes: each is made of labelled parts with the actions that each part affords.

A builder draws sizes from a random generator and returns the parts in the object's frame (z up, on z = 0, x along the
handle). To add a class: write a builder and put it in `CLASSES`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from affordance_ros.scenes.meshes import Array, Mesh, arc, box, lathe, merge, prism, tube

COLORS: dict[str, tuple[float, float, float]] = {
    'red': (0.80, 0.07, 0.06),
    'orange': (0.93, 0.46, 0.05),
    'yellow': (0.93, 0.83, 0.08),
    'green': (0.08, 0.50, 0.12),
    'blue': (0.08, 0.24, 0.78),
    'purple': (0.42, 0.09, 0.58),
    'white': (0.90, 0.90, 0.88),
    'black': (0.06, 0.06, 0.065),
}
STEEL = (0.62, 0.64, 0.66)
WOOD = (0.46, 0.29, 0.15)
DARK = (0.10, 0.10, 0.11)


@dataclass(frozen=True)
class PartShape:
    """A labelled part.

    width_m: thickness between the fingers. axis: unit (3,) along the part. color None: the object's colour.
    """

    name: str
    mesh: Mesh
    actions: tuple[str, ...]
    width_m: float
    axis: tuple[float, float, float]
    color: tuple[float, float, float] | None = None


Builder = Callable[[np.random.Generator], list[PartShape]]
HOLD = ('grasp', 'pick up', 'hold', 'lift')
X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def _accent(rng: np.random.Generator) -> tuple[float, float, float] | None:
    """Colour of a secondary part: the object's own, wood, dark or steel."""
    return (None, None, WOOD, DARK)[rng.integers(4)]


def _cup(radius_low: float, radius_high: float, height: float, wall: float = 0.004) -> Mesh:
    inner = radius_high - wall
    bulge = [(radius_low + (radius_high - radius_low) * t, height * t) for t in np.linspace(0, 1, 6)]
    inside = [(max(r - wall, 0.001), max(z, wall)) for r, z in reversed(bulge)]
    bottom, top = [(0.0005, 0.0), (radius_low, 0.0)], [(radius_high, height), (inner, height)]
    return lathe(bottom, bulge, top, [*inside, (0.0005, wall)])


def _mug(rng: np.random.Generator) -> list[PartShape]:
    radius, height = rng.uniform(0.034, 0.046), rng.uniform(0.08, 0.115)
    thick = rng.uniform(0.0055, 0.0075)
    reach, tall = rng.uniform(0.030, 0.040), height * rng.uniform(0.30, 0.36)
    loop = arc(-88, 88, (reach, tall))
    path = np.column_stack((radius - 0.003 + loop[:, 0], np.zeros(len(loop)), height * 0.52 + loop[:, 1]))
    body = _cup(radius * rng.uniform(0.82, 1.0), radius, height)
    return [
        PartShape('body', body, ('fill', 'drink from'), 2 * radius, Z),
        PartShape('handle', tube(path, thick), HOLD, 2 * thick, Z, _accent(rng)),
    ]


def _pan(rng: np.random.Generator) -> list[PartShape]:
    radius, height = rng.uniform(0.075, 0.105), rng.uniform(0.03, 0.05)
    length, thick = rng.uniform(0.12, 0.17), rng.uniform(0.010, 0.013)
    t = np.linspace(0, 1, 9)
    path = np.column_stack((radius * 0.97 + length * t, np.zeros(9), height * 0.8 + 0.025 * t))
    handle = tube(path, thick * (0.8 + 0.3 * t), flatten=0.7)
    return [
        PartShape('body', _cup(radius * 0.85, radius, height), ('fill', 'cook in'), 2 * radius, X),
        PartShape('handle', handle, HOLD, 2 * thick, X, _accent(rng)),
    ]


def _kettle(rng: np.random.Generator) -> list[PartShape]:
    radius, height = rng.uniform(0.062, 0.08), rng.uniform(0.10, 0.13)
    thick = rng.uniform(0.008, 0.0105)
    side = [(radius * np.cos(a) ** 0.6, height * np.sin(a)) for a in np.linspace(0.0, 1.35, 12)]
    knob = [(0.013, height * 0.97), (0.013, height * 1.10), (0.0005, height * 1.12)]
    body = lathe([(0.0005, 0.0), (radius, 0.0)], [*side, (0.0005, height)], knob)
    loop = arc(8, 172, (radius * 0.78, height * 0.62))
    handle = np.column_stack((loop[:, 0], np.zeros(len(loop)), height * 0.78 + loop[:, 1]))
    t = np.linspace(0, 1, 6)
    spout = np.column_stack((radius * 0.85 + 0.065 * t, np.zeros(6), height * (0.45 + 0.50 * t)))
    return [
        PartShape('body', body, ('fill',), 2 * radius, Z),
        PartShape('handle', tube(handle, thick), HOLD, 2 * thick, X, (WOOD, DARK)[rng.integers(2)]),
        PartShape('spout', tube(spout, 0.018 - 0.007 * t), ('pour from',), 0.026, X, _accent(rng)),
    ]


def _bottle(rng: np.random.Generator) -> list[PartShape]:
    radius, height = rng.uniform(0.030, 0.042), rng.uniform(0.13, 0.19)
    neck, shoulder = rng.uniform(0.013, 0.017), 0.72 * height
    curve = [
        (neck + (radius - neck) * np.cos(a), shoulder + 0.18 * height * np.sin(a)) for a in np.linspace(0, np.pi / 2, 8)
    ]
    body = lathe([(0.0005, 0), (radius, 0)], [(radius, 0), (radius, shoulder)], [*curve, (neck, height * 0.92)])
    wide, cap_top = neck + 0.005, height * 0.92 + rng.uniform(0.024, 0.032)
    cap = lathe(
        [(neck, height * 0.92), (wide, height * 0.92)],
        [(wide, height * 0.92), (wide, cap_top)],
        [(wide, cap_top), (0.0005, cap_top)],
    )
    palette = list(COLORS.values())
    return [
        PartShape('body', body, (*HOLD, 'squeeze'), 2 * radius, Z),
        PartShape('cap', cap, ('open', 'unscrew'), 2 * wide, Z, palette[rng.integers(len(palette))]),
    ]


def _knife(rng: np.random.Generator) -> list[PartShape]:
    grip, blade = rng.uniform(0.10, 0.125), rng.uniform(0.13, 0.18)
    wide, tall = rng.uniform(0.012, 0.015), rng.uniform(0.030, 0.042)
    t = np.linspace(0, 1, 8)
    path = np.column_stack((-grip * (1 - t), np.zeros(8), np.full(8, 0.010)))
    outline = [(0, -tall / 2), (blade * 0.8, -tall / 2), (blade, tall * 0.25), (blade * 0.96, tall / 2), (0, tall / 2)]
    return [
        PartShape('handle', tube(path, wide, flatten=0.7), HOLD, 2 * wide, X),
        PartShape('blade', prism(outline, 0.008, 0.0105), ('cut with', 'slice with'), tall, X, STEEL),
    ]


def _hammer(rng: np.random.Generator) -> list[PartShape]:
    length, thick = rng.uniform(0.20, 0.25), rng.uniform(0.012, 0.015)
    t = np.linspace(0, 1, 8)
    path = np.column_stack((-length * (1 - t), np.zeros(8), np.full(8, 0.020)))
    head = rng.uniform(0.085, 0.11)
    face = tube([(0, -0.4 * head, 0.020), (0, 0.15 * head, 0.020)], 0.018)
    claw = prism([(-0.015, 0.1 * head), (0.015, 0.1 * head), (0.012, 0.6 * head), (-0.012, 0.6 * head)], 0.012, 0.030)
    return [
        PartShape('handle', tube(path, thick * (1.15 - 0.3 * t)), HOLD, 2 * thick, X),
        PartShape(
            'head', merge([face, claw]), ('pound with', 'hit with'), 0.036, Y, STEEL if rng.random() < 0.6 else DARK
        ),
    ]


def _screwdriver(rng: np.random.Generator) -> list[PartShape]:
    grip, shaft, thick = rng.uniform(0.09, 0.11), rng.uniform(0.10, 0.14), rng.uniform(0.014, 0.018)
    t = np.linspace(0, 1, 10)
    swell = thick * (0.75 + 0.25 * np.abs(np.sin(np.pi * (t + 0.12) * 1.2)))
    path = np.column_stack((-grip * (1 - t), np.zeros(10), np.full(10, thick)))
    return [
        PartShape('handle', tube(path, swell), (*HOLD, 'turn'), 2 * thick, X),
        PartShape(
            'shaft', tube([(-0.002, 0, thick), (shaft, 0, thick)], 0.0055), ('drive a screw with',), 0.011, X, STEEL
        ),
    ]


def _spoon(rng: np.random.Generator) -> list[PartShape]:
    length, thick = rng.uniform(0.15, 0.19), rng.uniform(0.0085, 0.011)
    t = np.linspace(0, 1, 10)
    path = np.column_stack((-length * (1 - t), np.zeros(10), 0.010 + 0.016 * np.sin(np.pi * t)))
    handle = tube(path, thick * (1.1 - 0.35 * t), flatten=0.6)
    wide, depth = rng.uniform(0.024, 0.030), 0.014
    dish = [(wide * np.sin(a), depth * (1 - np.cos(a)) + 0.002) for a in np.linspace(0.01, 1.45, 8)]
    inner = [(r * 0.97, z + 0.002) for r, z in reversed(dish)]
    shell = lathe(dish, inner)
    stretched = Mesh(shell.vertices * (1.35, 1, 1) + (wide * 1.2, 0, 0), shell.faces, shell.normals)
    return [
        PartShape('handle', handle, HOLD, 2 * thick, X),
        PartShape('head', stretched, ('scoop with', 'stir with'), 2 * wide, X, STEEL if rng.random() < 0.7 else None),
    ]


def _spatula(rng: np.random.Generator) -> list[PartShape]:
    length, thick, wide = rng.uniform(0.15, 0.19), rng.uniform(0.009, 0.012), rng.uniform(0.032, 0.042)
    t = np.linspace(0, 1, 8)
    path = np.column_stack((-length * (1 - t), np.zeros(8), 0.010 + 0.018 * t * (1 - t)))
    outline = [(-0.005, -wide * 0.6), (0.02, -wide), (0.10, -wide), (0.10, wide), (0.02, wide), (-0.005, wide * 0.6)]
    return [
        PartShape('handle', tube(path, thick, flatten=0.7), HOLD, 2 * thick, X),
        PartShape(
            'blade',
            prism(outline, 0.006, 0.009),
            ('flip with', 'scrape with'),
            2 * wide,
            X,
            (STEEL, DARK)[rng.integers(2)],
        ),
    ]


def _bowl(rng: np.random.Generator) -> list[PartShape]:
    radius, height, wall = rng.uniform(0.06, 0.085), rng.uniform(0.05, 0.07), 0.004
    outer = [
        (0.35 * radius + 0.65 * radius * np.sin(a), height * (1 - np.cos(a))) for a in np.linspace(0, np.pi / 2, 10)
    ]
    inner = [(max(r - wall, 0.001), z + wall * 0.9) for r, z in reversed(outer[:-1])]
    rim = [(radius, height), (radius - wall, height)]
    return [
        PartShape(
            'body',
            lathe([(0.0005, 0), *outer], rim, [(radius - wall, height), *inner, (0.0005, wall)]),
            (*HOLD, 'fill'),
            2 * radius,
            Z,
        )
    ]


def _carton(rng: np.random.Generator) -> list[PartShape]:
    length, depth, height = rng.uniform(0.05, 0.08), rng.uniform(0.035, 0.055), rng.uniform(0.06, 0.11)
    lid_height = 0.022
    body = box((-length, -depth, 0), (length, depth, height))
    lid = box((-length - 0.003, -depth - 0.003, height), (length + 0.003, depth + 0.003, height + lid_height))
    palette = [*COLORS.values(), WOOD]
    return [
        PartShape('body', body, HOLD, 2 * depth, X),
        PartShape('lid', lid, ('open',), 2 * depth + 0.006, X, palette[rng.integers(len(palette))]),
    ]


def _bar_handle(low: Array, high: Array, stand_off: float, thick: float) -> Mesh:
    """Return a bar that stands off the -y face between two points, on two posts."""
    out = np.array([0, -stand_off, 0])
    posts = [tube([end, end + 1.15 * out], thick * 0.8) for end in (low, high)]
    beyond = 0.08 * (high - low)
    return merge([tube([low + out - beyond, high + out + beyond], thick), *posts])


def _drawer(rng: np.random.Generator) -> list[PartShape]:
    half, depth, height = rng.uniform(0.10, 0.13), rng.uniform(0.12, 0.16), rng.uniform(0.09, 0.12)
    thick, reach = rng.uniform(0.0065, 0.0085), rng.uniform(0.045, 0.06)
    shell = box((-half, 0, 0), (half, depth, height))
    front = box((-half + 0.008, -0.016, 0.010), (half - 0.008, 0, height - 0.012))
    handle = _bar_handle(
        np.array([-reach, -0.014, height * 0.55]), np.array([reach, -0.014, height * 0.55]), 0.026, thick
    )
    return [
        PartShape('body', merge([shell, front]), ('close', 'push'), 2 * half, X),
        PartShape('handle', handle, ('open', 'pull', 'grasp'), 2 * thick, X, (STEEL, DARK, WOOD)[rng.integers(3)]),
    ]


def _cabinet(rng: np.random.Generator) -> list[PartShape]:
    half, depth, height = rng.uniform(0.08, 0.10), rng.uniform(0.10, 0.13), rng.uniform(0.20, 0.25)
    thick = rng.uniform(0.0065, 0.0085)
    shell = box((-half, 0, 0), (half, depth, height))
    door = box((-half + 0.006, -0.014, 0.012), (half - 0.006, 0, height - 0.012))
    side = half * rng.choice((-0.7, 0.7))
    handle = _bar_handle(np.array([side, -0.013, height * 0.36]), np.array([side, -0.013, height * 0.68]), 0.026, thick)
    return [
        PartShape('door', merge([shell, door]), ('close', 'push'), 2 * half, Z),
        PartShape('handle', handle, ('open', 'pull', 'grasp'), 2 * thick, Z, (STEEL, DARK, WOOD)[rng.integers(3)]),
    ]


CLASSES: dict[str, Builder] = {
    'mug': _mug,
    'pan': _pan,
    'kettle': _kettle,
    'bottle': _bottle,
    'knife': _knife,
    'hammer': _hammer,
    'screwdriver': _screwdriver,
    'spoon': _spoon,
    'spatula': _spatula,
    'bowl': _bowl,
    'box': _carton,
    'drawer': _drawer,
    'cabinet': _cabinet,
}
FACES_CAMERA = frozenset({'drawer', 'cabinet'})
PART_NAMES: dict[str, tuple[str, ...]] = {
    name: tuple(part.name for part in build(np.random.default_rng(0))) for name, build in CLASSES.items()
}
