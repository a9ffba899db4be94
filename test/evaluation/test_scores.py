# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every measure on answers whose score is known beforehand: right ones, wrong ones, refused ones."""

import json
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from affordance_ros.errors import AffordanceError
from affordance_ros.evaluation.askers import ModelAsker
from affordance_ros.evaluation.calibration import calibrate
from affordance_ros.evaluation.labels import Label, Labels, SceneSource, Seen, encode_mask, read_labels
from affordance_ros.evaluation.large_parts import heatmap_of, mask_of, with_large_parts
from affordance_ros.evaluation.records import RunFolder, answered, refused
from affordance_ros.evaluation.scores import score_answers
from affordance_ros.evaluation.selection import Chosen
from affordance_ros.evaluation.summary import stability
from affordance_ros.geometry.transforms import pose_from
from affordance_ros.models import load_model
from affordance_ros.pipeline import Answer, PipelineSettings, lift_and_grasp
from affordance_ros.results import Boxes, Frame, HandTrajectory, Heatmap, Keypoints, Masks, Prediction, Query, Trace
from affordance_ros.scenes import sample_scene

QUERY = Query('grasp the red mug')
SIZE = (48, 64)
FRAME = Frame(np.zeros((*SIZE, 3), np.uint8), stamp_ns=5)
CHOSEN = Chosen(FRAME, 0, 0.0)
MASK = np.zeros(SIZE, bool)
MASK[10:20, 30:40] = True


def line(folder, **prediction):
    """Return the line of an answer without targets."""
    answer = Answer(FRAME, Prediction('m', QUERY, **prediction), (), (), (), {})
    return with_large_parts(answered(CHOSEN, 0, answer), answer, folder)


def refusal():
    from affordance_ros.errors import Code

    return refused(CHOSEN, 0, QUERY, AffordanceError(Code.UNPARSABLE_ANSWER, 'no'))


def scores(lines, label, folder, scene=None):
    return score_answers(lines, Labels({(None, ''): label}, scene), folder)


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path)


def test_points_and_boxes(folder):
    points = Keypoints(np.array([[35.0, 15.0], [0.0, 0.0]]))
    box = Boxes(np.array([[30.0, 10.0, 40.0, 15.0]]))
    label = Label(points=np.array([[38.0, 19.0]]), boxes=np.array([[30.0, 10.0, 40.0, 20.0]]), mask=MASK)
    found = scores([line(folder, keypoints=points), line(folder, boxes=box), refusal()], label, folder)
    assert found['points_in_mask_accuracy'] == {'count': 2, 'mean': 0.25, 'median': 0.25, 'p90': pytest.approx(0.45)}
    assert found['pixel_error']['mean'] == 5.0
    assert found['box_iou']['mean'] == pytest.approx((0.5 + 0.0) / 2)
    assert found['missed'] == 3


def test_masks_come_back_and_are_scored_together(folder):
    half = MASK & (np.arange(SIZE[0])[:, None] < 15)
    answer = line(folder, masks=Masks(half[None]))
    np.testing.assert_array_equal(mask_of(json.loads(json.dumps(answer))), half)
    found = scores([answer, refusal()], Label(mask=MASK), folder)
    assert found['mask_iou']['mean'] == pytest.approx(0.25)  # half of the mask, and nothing
    assert found['masks']['giou'] == pytest.approx(0.25)
    assert found['masks']['ciou'] == pytest.approx(50 / 200)
    other = Label(mask=np.ones((9, 9), bool))
    with pytest.raises(AffordanceError, match='the answer is 64x48, the label 9x9'):
        scores([answer], other, folder)


def test_heatmaps_come_back_and_a_refusal_is_an_empty_one(folder):
    truth = cv2.GaussianBlur(MASK.astype(np.float64), (0, 0), 3)
    truth /= truth.max()
    same, away = line(folder, heatmap=Heatmap(truth)), line(folder, heatmap=Heatmap(truth[::-1].copy()))
    np.testing.assert_allclose(heatmap_of(json.loads(json.dumps(same)), folder), truth, atol=1e-5)
    label = Label(heatmap=truth)
    best, worst, none = (scores([item], label, folder) for item in (same, away, refusal()))
    assert best['heatmap_kld']['mean'] == pytest.approx(0, abs=1e-3)
    assert best['heatmap_sim']['mean'] == pytest.approx(1, abs=1e-3)
    assert best['heatmap_nss']['mean'] > 1 > worst['heatmap_nss']['mean']
    assert worst['heatmap_kld']['mean'] > best['heatmap_kld']['mean']
    assert 'heatmap_kld' not in none  # nothing in that run is a heatmap
    both = scores([same, refusal()], label, folder)
    assert both['heatmap_sim']['mean'] == pytest.approx(0.5, abs=1e-3)


def test_paths_are_compared_step_by_step(folder):
    path = np.column_stack((np.linspace(0, 30, 7), np.zeros(7)))
    label = Label(traces=(path + (0, 40), path + (0, 4)), hands={'right': path + (0, 3), 'left': path})
    hand = HandTrajectory(path, np.arange(7) / 4, 'right')
    found = scores([line(folder, traces=(Trace(path[::2]),), hands=(hand,))], label, folder)
    assert found['trace_ade_px']['mean'] == pytest.approx(4)  # to the nearer one
    assert found['trace_fde_px']['mean'] == pytest.approx(4)
    assert found['hand_ade_px']['mean'] == pytest.approx(3)  # the left one was not answered
    assert found['hand_fde_px']['mean'] == pytest.approx(3)


@pytest.fixture(scope='module')
def mug():
    """A grasp of the mug's handle, given its true mask, and the truth about it."""
    scene = sample_scene(3, 'vga', must_have=('red', 'mug'))
    view = scene.render(stamp_ns=5)
    part = scene.find('the red mug by its handle')
    truth = scene.truth(view, part.id)
    inside = cv2.distanceTransform(truth.mask.astype(np.uint8), cv2.DIST_L2, 5)
    v, u = np.unravel_index(int(inside.argmax()), inside.shape)
    points = Keypoints(np.array([[float(u), float(v)]]))
    said = Prediction('m', QUERY, keypoints=points, masks=Masks(truth.mask[None]), confidence=0.9)
    answer = lift_and_grasp(view.frame, said, PipelineSettings())
    assert answer.targets, answer.abstentions
    seen = Seen(part.id, np.asarray(scene.table_from_camera))
    label = Label(points_m=truth.points, normals=truth.normals, width_m=truth.width_m, mask=truth.mask, seen=seen)
    return answer, label, SceneSource(3, 'vga', 'red mug'), part.id


def test_a_grasp_is_measured_in_space(mug, folder):
    answer, label, scene, part = mug
    record = with_large_parts(answered(Chosen(answer.frame, 0, 0.0), 0, answer), answer, folder)
    best = record['targets'][0]['grasp_in_camera']
    pose = pose_from(best['position_m'], best['orientation_xyzw'])
    flipped = pose @ np.diag([-1.0, -1.0, 1.0, 1.0])  # the fingers exchanged
    found = scores([record], replace(label, grasps=flipped[None]), folder, scene)
    assert found['point_error_mm']['mean'] < 5
    assert found['silent_errors'] == 0
    assert found['normal_error_deg']['mean'] < 45
    assert found['grasp_success']['mean'] == 1
    assert found['grasp_holds']['mean'] in (0, 1)
    away = pose.copy()
    away[:3, 3] += 0.03
    assert scores([record], replace(label, grasps=away[None]), folder)['grasp_success']['mean'] == 0
    wrong = replace(label, seen=Seen(part % 2 + 1, label.seen.table_from_camera))
    assert scores([record], wrong, folder, scene)['grasp_holds']['mean'] == 0  # it is another part that was asked for
    assert scores([refusal()], replace(label, grasps=pose[None]), folder, scene)['grasp_holds']['mean'] == 0


def test_scores_are_held_against_what_came_of_them(mug, folder):
    answer, label, _, _ = mug
    record = with_large_parts(answered(Chosen(answer.frame, 0, 0.0), 0, answer), answer, folder)
    found = scores([record] * 4, replace(label, seen=None), folder)['calibration']
    score = record['targets'][0]['score']
    assert found['score']['count'] == 4
    assert found['score']['ece'] == pytest.approx(abs(1 - score))  # all were right
    assert found['confidence']['bias'] == pytest.approx(0.9 - 1)


def test_calibration_by_hand():
    result = calibrate([0.1, 0.15, 0.9, 1.0], [False, True, True, True])
    assert [(item.count, item.right) for item in result.bins] == [(2, 0.5), (2, 1.0)]
    assert result.ece == pytest.approx((2 * abs(0.125 - 0.5) + 2 * abs(0.95 - 1)) / 4)
    assert result.brier == pytest.approx((0.01 + 0.85**2 + 0.01 + 0) / 4)
    assert calibrate([], []) is None
    with pytest.raises(ValueError, match=r'\[0, 1\]'):
        calibrate([1.2], [True])


def contact(x):
    return {'contact': {'point_m': [x, 0.0, 0.5], 'normal': [0.0, 0.0, -1.0]}}


def test_steadiness_is_told_over_still_stretches():
    changes = [9.0, 0.0, 0.0, 9.0, 0.0]
    places = [0.000, 0.002, 0.001, 0.300, 0.304]
    lines = [
        {'prompt': 0, 'change': change, 'targets': [contact(x)]} for change, x in zip(changes, places, strict=True)
    ]
    found = stability(lines)
    assert (found.pairs, found.segments) == (3, 2)
    first, second = math.sqrt(2 / 3), 2.0
    assert found.point_std_mm == pytest.approx((first + second) / 2)
    assert found.normal_std_deg == pytest.approx(0, abs=1e-5)


def test_all_kinds_of_labels_are_read(tmp_path):
    cv2.imwrite(str(tmp_path / 'map.png'), np.full(SIZE, 65535, np.uint16))
    entry = {
        'masks': [encode_mask(MASK)],
        'heatmap': 'map.png',
        'traces_uv_px': [[[0, 0], [1, 1]]],
        'hands_uv_px': {'left': [[0, 0], [2, 2]]},
        'grasps': [{'position_m': [1, 2, 3], 'orientation_xyzw': [0, 0, 0, 1]}],
        'scene': {'part': 2, 'table_from_camera': np.eye(4).tolist()},
    }
    (tmp_path / 'labels.json').write_text(json.dumps({'labels': [entry], 'scene': {'seed': 4}}))
    labels = read_labels(tmp_path / 'labels.json')
    label = labels.of(1, 'x')
    assert labels.scene == SceneSource(4)
    assert float(label.heatmap.min()) == 1.0
    assert label.hands['left'].tolist() == [[0, 0], [2, 2]]
    assert label.grasps[0, :3, 3].tolist() == [1, 2, 3]
    assert label.seen.part == 2
    np.testing.assert_array_equal(label.mask, MASK)


def test_the_asker_is_the_pipeline():
    asker = ModelAsker(load_model('fake'), PipelineSettings())
    assert asker.describe().name == 'fake'
    asked = asker.ask(CHOSEN, Query('at 3,4'))
    assert asked.answer.prediction.keypoints.points.tolist() == [[3, 4]]
