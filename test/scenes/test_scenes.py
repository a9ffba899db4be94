# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes: same seed same bytes, true depth, labels that agree with the picture, and a sensor that behaves like one."""

import numpy as np
import pytest

from affordance_ros.scenes import PRESETS, SensorModel, sample_scene
from affordance_ros.scenes.catalogue import CLASSES, COLORS, PART_NAMES
from affordance_ros.scenes.meshes import box, lathe, tube
from affordance_ros.scenes.scene import largest_part


def test_there_are_twelve_classes_made_of_parts_with_actions() -> None:
    assert len(CLASSES) >= 12
    for name, build in CLASSES.items():
        shapes = build(np.random.default_rng(1))
        assert tuple(shape.name for shape in shapes) == PART_NAMES[name]
        for shape in shapes:
            assert shape.actions
            assert 0.005 < shape.width_m < 0.35
            assert shape.mesh.vertices[:, 2].min() > -0.002, f'{name} {shape.name} sinks into the table'
            assert np.isfinite(shape.mesh.normals).all()


def test_same_seed_same_bytes_and_other_seed_other_scene() -> None:
    first, again, other = (sample_scene(seed, 'pocket').render() for seed in (7, 7, 8))
    assert first.frame.rgb.tobytes() == again.frame.rgb.tobytes()
    assert first.frame.depth is not None
    assert again.frame.depth is not None
    assert first.frame.depth.tobytes() == again.frame.depth.tobytes()
    assert first.part_ids.tobytes() == again.part_ids.tobytes()
    assert first.frame.rgb.tobytes() != other.frame.rgb.tobytes()


@pytest.mark.parametrize('preset', ['vga', 'hd'])
def test_a_preset_gives_its_size_and_distance(preset: str) -> None:
    for seed in range(5):
        scene = sample_scene(seed, preset)
        k = scene.intrinsics
        assert (k.width, k.height) == (PRESETS[preset].width, PRESETS[preset].height)
        height = np.asarray(scene.table_from_camera)[2, 3]
        assert 0.25 < height < 1.25


def test_depth_of_the_table_is_where_the_camera_pose_says() -> None:
    scene = sample_scene(11, 'pocket')
    view = scene.render()
    assert view.frame.depth is not None
    k = scene.intrinsics
    rows, columns = np.nonzero((view.part_ids == 0) & np.isfinite(view.frame.depth))
    depth = view.frame.depth[rows, columns]
    points = np.column_stack(((columns - k.cx) / k.fx * depth, (rows - k.cy) / k.fy * depth, depth))
    pose = np.asarray(scene.table_from_camera)
    heights = points @ pose[2, :3] + pose[2, 3]
    assert np.abs(heights).max() < 2e-3  # table top (the edge of the table is out of sight here)


def test_truth_points_lie_on_the_part_and_normals_face_the_camera() -> None:
    scene = sample_scene(3, 'pocket')
    view = scene.render()
    for part in scene.parts:
        truth = scene.truth(view, part.id)
        if not truth.mask.any():
            continue
        assert truth.points.shape == truth.normals.shape == (truth.mask.sum(), 3)
        assert truth.distance_m(truth.points[0]) == 0
        assert (np.einsum('ij,ij->i', truth.normals, truth.points) <= 1e-6).all()
        assert np.linalg.norm(truth.axis) == pytest.approx(1)
    with pytest.raises(ValueError, match='part_id must be'):
        scene.truth(view, 99)


def test_every_sentence_of_a_part_finds_that_part() -> None:
    tried = 0
    for seed in range(60):
        scene = sample_scene(seed, 'pocket')
        for part in scene.parts:
            for sentence in scene.sentences(part.id):
                found = scene.find(sentence)
                # Some actions fit two parts of one object ("fill the pan"): then nothing is guessed.
                assert found is None or found == part, (sentence, found)
                tried += found is not None
    assert tried > 2000


def test_must_have_puts_the_object_there() -> None:
    for seed in range(1, 11):
        scene = sample_scene(seed, 'vga', must_have=('red', 'mug'))
        assert 'red mug' in scene.objects()
        found = scene.find('grasp the red mug by its handle')
        assert found is not None
        assert (found.part, found.color) == ('handle', 'red')
    with pytest.raises(ValueError, match='must_have must be'):
        sample_scene(1, must_have=('pink', 'mug'))


def test_unknown_things_are_not_found() -> None:
    scene = sample_scene(1, must_have=('red', 'mug'))
    assert scene.find('grasp the green teapot') is None
    assert scene.find('') is None


def test_unknown_preset_names_the_presets() -> None:
    with pytest.raises(ValueError, match='vga'):
        sample_scene(0, 'imax')


def test_the_sensor_grows_with_z_squared_loses_edges_and_counts_in_millimetres() -> None:
    view = sample_scene(5, 'vga').render()
    clean = view.frame.depth
    assert clean is not None
    noisy = SensorModel().apply(view.frame, np.random.default_rng(0))
    assert noisy.depth is not None
    assert noisy.depth.dtype == np.float32
    lost = np.isnan(noisy.depth).mean() - np.isnan(clean).mean()
    assert 0.001 < lost < 0.3
    valid = np.isfinite(noisy.depth)
    assert np.allclose(noisy.depth[valid] * 1000, np.rint(noisy.depth[valid] * 1000), atol=1e-3)
    flat = (view.part_ids == 0) & valid
    error = np.abs(noisy.depth - clean)
    near, far = (flat & (clean < np.nanquantile(clean[flat], 0.3))), (flat & (clean > np.nanquantile(clean[flat], 0.7)))
    assert np.median(error[far]) > np.median(error[near])
    same = SensorModel().apply(view.frame, np.random.default_rng(0)).depth
    assert same is not None
    assert same.tobytes() == noisy.depth.tobytes()


def test_an_ideal_sensor_changes_nothing() -> None:
    frame = sample_scene(5, 'pocket').render().frame
    ideal = SensorModel(subpixel=0, edge_holes=0, dark_holes=0, grazing_holes=0, flying=0, quantise=False)
    np.testing.assert_array_equal(ideal.apply(frame, np.random.default_rng(0)).depth, frame.depth)


def test_largest_part_prefers_what_is_seen() -> None:
    scene = sample_scene(2, 'pocket', must_have=('red', 'mug'))
    view = scene.render()
    found = largest_part(view, scene.parts, 'grasp')
    assert found is not None
    assert 'grasp' in found.actions
    assert largest_part(view, scene.parts, 'paint') is None


def test_meshes_are_closed_enough_and_normals_point_outwards() -> None:
    cube = box((-1, -1, -1), (1, 1, 1))
    assert (np.einsum('ij,ij->i', cube.vertices, cube.normals) > 0).all()
    rod = tube([(0, 0, 0), (0, 0, 0.5), (0, 0, 1)], 0.1)
    radial = rod.vertices[:, :2]
    assert np.allclose(np.linalg.norm(radial, axis=1).max(), 0.1)
    can = lathe([(0.5, 0), (0.5, 1)])
    assert np.abs(np.abs(np.einsum('ij,ij->i', can.normals[:, :2], can.vertices[:, :2])) - 0.5).max() < 1e-3


def test_the_colours_are_told_apart() -> None:
    colors = np.array(list(COLORS.values()))
    distances = np.linalg.norm(colors[:, None] - colors[None], axis=-1) + np.eye(len(colors))
    assert distances.min() > 0.3
