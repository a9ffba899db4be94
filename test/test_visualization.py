# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is drawn is where it should be, the input stays as it was, and every kind of answer can be drawn."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from affordance_ros.answer_json import answer_to_json
from affordance_ros.errors import Code
from affordance_ros.outlines import gripper_segments
from affordance_ros.pipeline import Answer
from affordance_ros.report import ReportNotes, write_outputs, write_report
from affordance_ros.results import (
    Abstention,
    Boxes,
    Contact,
    Frame,
    GraspTarget,
    HandTrajectory,
    Heatmap,
    Intrinsics,
    Keypoints,
    Masks,
    Prediction,
    Query,
    Trace,
)
from affordance_ros.view_3d import BACKGROUND, ViewSettings, draw_view_3d
from affordance_ros.visualization import (
    ABSTAINED,
    BOX,
    CONTACT,
    GRASP,
    KEYPOINT,
    LEFT_HAND,
    NORMAL,
    RIGHT_HAND,
    draw_overlay,
    summary,
)

WIDTH, HEIGHT = 320, 240
GRAY = 90
SMALL = ViewSettings(width=320, height=240)


def make_frame(*, depth: bool = True) -> Frame:
    rgb = np.full((HEIGHT, WIDTH, 3), GRAY, np.uint8)
    metres = np.full((HEIGHT, WIDTH), 0.8, np.float32)
    metres[:20] = np.nan
    intrinsics = Intrinsics(300.0, 300.0, 159.5, 119.5, WIDTH, HEIGHT)
    return Frame(rgb, metres if depth else None, intrinsics, 1_000_000_000, 'camera')


def make_target(x: float = 0.05) -> GraspTarget:
    """A grasp that comes along the optical axis and closes along the image's x."""
    point = np.array([x, 0.0, 0.8])
    contact = Contact(point, [0, 0, -1], [0, 1, 0], 0.9, 0.01, np.eye(3) * 1e-6, (159.5 + 300 * x / 0.8, 119.5))
    pose = np.eye(4)
    pose[:3, :3] = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    pose[:3, 3] = point
    away, up = pose.copy(), pose.copy()
    away[2, 3] -= 0.1
    up[1, 3] -= 0.1
    return GraspTarget(
        contact=contact,
        grasp=pose,
        pregrasp=away,
        lift=up,
        width_m=0.04,
        width_is_lower_bound=False,
        depth_m=0.0,
        clearance_m=0.01,
        score=0.5,
        sub_scores={'surface': 1.0, 'clearance': 0.5},
    )


def make_answer(prediction: Prediction, *targets: GraspTarget, abstentions: tuple[Abstention, ...] = ()) -> Answer:
    return Answer(make_frame(), prediction, tuple(t.contact for t in targets), targets, abstentions, {'total': 0.2})


def empty() -> Prediction:
    return Prediction('fake', Query(text='grasp it'))


def near(image: npt.NDArray[np.uint8], color: tuple[int, int, int], u: float, v: float, radius: int = 2) -> bool:
    """Tell whether a pixel about (u, v) has a colour, give or take the blending of its border."""
    rows, columns = slice(round(v) - radius, round(v) + radius + 1), slice(round(u) - radius, round(u) + radius + 1)
    return bool((np.abs(image[rows, columns].astype(int) - color).max(axis=2) <= 12).any())


def middle(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The rows between banner and legend."""
    return image[60:200]


def test_keypoints_and_boxes_are_drawn_at_their_pixels() -> None:
    prediction = replace(empty(), keypoints=Keypoints([(100.0, 130.0)]), boxes=Boxes([(200, 90, 260, 170)]))
    answer = make_answer(prediction)
    image = draw_overlay(answer)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image.dtype == np.uint8
    assert near(image, KEYPOINT, 100, 130)
    assert near(image, BOX, 200, 130)
    assert near(image, BOX, 230, 170)
    assert not near(image, BOX, 230, 130)
    untouched = middle(image) == GRAY
    assert untouched.all(axis=2).mean() > 0.9


def test_the_frame_is_not_changed() -> None:
    answer = make_answer(replace(empty(), keypoints=Keypoints([(100.0, 130.0)])), make_target())
    before = answer.frame.rgb.copy(), np.array(answer.frame.depth)
    draw_overlay(answer)
    draw_view_3d(answer, SMALL)
    np.testing.assert_array_equal(answer.frame.rgb, before[0])
    np.testing.assert_array_equal(np.array(answer.frame.depth), before[1])


def test_the_gripper_is_projected_with_its_width() -> None:
    target = make_target(0.05)
    segments = gripper_segments(target)
    tips = segments[:2, 0]
    np.testing.assert_allclose(np.linalg.norm(tips[0] - tips[1]), target.width_m + 0.012)
    np.testing.assert_allclose(tips.mean(axis=0), target.contact.point)
    image = draw_overlay(make_answer(empty(), target))
    for tip in tips:
        assert near(image, GRASP, 159.5 + 300 * tip[0] / tip[2], 119.5 + 300 * tip[1] / tip[2])
    assert near(image, CONTACT, *target.contact.pixel)


def test_the_normal_is_an_arrow_from_the_contact() -> None:
    target = make_target()
    slanted = replace(target.contact, normal=[0.0, -0.8, -0.6])
    answer = replace(make_answer(empty()), contacts=(slanted,))
    image = draw_overlay(answer)
    tip = np.asarray(slanted.point) + 0.05 * np.asarray(slanted.normal)
    assert near(image, NORMAL, 159.5 + 300 * tip[0] / tip[2], 119.5 + 300 * tip[1] / tip[2])


def test_a_refusal_is_a_red_cross_at_its_pixel() -> None:
    refused = Abstention(Code.TOO_WIDE, 'too wide', pixel=(80.0, 150.0))
    image = draw_overlay(make_answer(empty(), abstentions=(refused,)))
    assert near(image, ABSTAINED, 80, 150)
    assert not near(draw_overlay(make_answer(empty())), ABSTAINED, 80, 150)


def test_a_mask_colours_its_pixels_only() -> None:
    mask = np.zeros((1, HEIGHT, WIDTH), bool)
    mask[0, 100:140, 50:90] = True
    image = draw_overlay(make_answer(replace(empty(), masks=Masks(mask))))
    changed = (image != GRAY).any(axis=2)
    assert changed[102:138, 52:88].all()
    assert not changed[100:140, 100:].any()


def test_both_hand_paths_are_drawn_with_the_circle_of_their_samples() -> None:
    times = [0.25, 0.5]
    right = HandTrajectory([(60.0, 120.0), (200.0, 120.0)], times, 'right', [12.0, 12.0])
    left = HandTrajectory([(250.0, 60.0), (250.0, 160.0)], times, 'left')
    answer = make_answer(replace(empty(), hands=(right, left)))
    answer = replace(answer, frame=replace(answer.frame, depth=None))
    image = draw_overlay(answer)
    for u, v, color in ((150, 120, RIGHT_HAND), (250, 120, LEFT_HAND)):
        assert np.abs(image[v, u].astype(int) - color).max() < 20
    assert (image[120 - 12, 200] != GRAY).any()  # the circle
    assert (image[120 - 9, 200] == GRAY).all()
    assert summary(answer)[0] == 'right and left hand, next 0.5 s, presence not judged'
    sure = replace(answer, prediction=replace(empty(), hands=(replace(right, present=True),)))
    assert summary(sure)[0] == 'right hand, next 0.5 s'


def every_kind() -> list[Prediction]:
    values = np.zeros((HEIGHT, WIDTH))
    values[100, 100] = 1
    path = np.array([(50.0, 100.0), (90.0, 120.0), (130.0, 90.0)])
    return [
        empty(),
        replace(empty(), heatmap=Heatmap(values)),
        replace(empty(), keypoints=Keypoints(np.zeros((0, 2)))),
        replace(empty(), keypoints=Keypoints([(-40.0, 9999.0), (1e6, 1e6)])),
        replace(empty(), boxes=Boxes([(-10, -10, 900, 900)], [0.5], ('everything',))),
        replace(empty(), masks=Masks(np.zeros((0, HEIGHT, WIDTH), bool))),
        replace(empty(), traces=(Trace(path, 'pour'), Trace(np.zeros((0, 2))), Trace(path[:1]))),
        replace(empty(), hands=(HandTrajectory(path, [0.1, 0.2, 0.3], 'left'),)),
        replace(empty(), query=Query(text='a very long sentence ' * 40), text='<b>&"', reasoning='because'),
    ]


@pytest.mark.parametrize('prediction', every_kind())
@pytest.mark.parametrize('scale', [0.2, 1.0, 2.5])
def test_every_kind_of_answer_is_drawn_at_every_size(prediction: Prediction, scale: float) -> None:
    answer = make_answer(prediction, make_target(), abstentions=(Abstention(Code.TIMEOUT, 'slow'),))
    if scale != 1.0:
        size = (round(HEIGHT * scale), round(WIDTH * scale))
        plain = replace(prediction, heatmap=None, masks=None)
        answer = replace(answer, prediction=plain, frame=Frame(np.full((*size, 3), GRAY, np.uint8)))
    assert draw_overlay(answer).shape == answer.frame.rgb.shape


def test_the_3d_view_shows_cloud_and_gripper() -> None:
    frame = make_frame()
    colored = np.zeros_like(frame.rgb)
    colored[:] = (200, 30, 40)
    answer = replace(make_answer(empty(), make_target()), frame=replace(frame, rgb=colored))
    image = draw_view_3d(answer, SMALL)
    assert image.shape == (240, 320, 3)
    cloud = (image == (200, 30, 40)).all(axis=2)
    assert cloud.mean() > 0.15
    assert near(image, CONTACT, 160, 120)  # the view looks at the best contact
    assert (np.abs(image[70:].astype(int) - GRASP).max(axis=2) <= 12).sum() > 50  # the title has the colour too
    assert (image == BACKGROUND).all(axis=2).any()


def test_a_gripper_behind_the_cloud_is_faint() -> None:
    target = make_target()
    behind = np.array(target.grasp)
    behind[2, 3] += 0.3
    hidden = replace(target, grasp=behind)
    shown = draw_view_3d(make_answer(empty(), target), SMALL)
    faint = draw_view_3d(make_answer(empty(), hidden), SMALL)
    count = [(np.abs(image[70:].astype(int) - GRASP).max(axis=2) <= 12).sum() for image in (shown, faint)]
    assert count[0] > 50
    assert count[1] == 0


@pytest.mark.parametrize('depth', [None, 0.0, np.nan])
def test_without_depth_the_3d_view_says_so(depth: float | None) -> None:
    frame = make_frame(depth=False)
    if depth is not None:
        frame = replace(frame, depth=np.full((HEIGHT, WIDTH), depth, np.float32))
    image = draw_view_3d(replace(make_answer(empty()), frame=frame), SMALL)
    assert (image == BACKGROUND).all(axis=2).mean() > 0.8


def test_json_has_null_for_nan_and_poses_in_both_frames() -> None:
    pose = np.eye(4)
    pose[:3, 3] = (1.0, 2.0, 3.0)
    answer = make_answer(replace(empty(), keypoints=Keypoints([(1.0, 2.0)])), make_target(0.0))
    answer = replace(answer, frame=replace(answer.frame, target_from_camera=pose, target_frame='base'))
    record = json.loads(json.dumps(answer_to_json(answer), allow_nan=False))
    assert record['outcome'] == 'OK'
    assert record['contacts'][0]['score'] is None
    assert record['prediction']['keypoints_uv_px'] == [[1.0, 2.0]]
    target = record['targets'][0]
    assert target['grasp_in_camera']['position_m'] == [0.0, 0.0, 0.8]
    assert target['grasp_in_target_frame']['position_m'] == [1.0, 2.0, 3.8]
    assert target['width_m'] == 0.04


def test_the_report_is_one_file_and_escapes_what_the_model_wrote(tmp_path: Path) -> None:
    wrote = '<script>alert(1)</script>'
    refused = Abstention(Code.TOO_WIDE, 'the part is 140 mm wide', pixel=(80.0, 150.0))
    answer = make_answer(replace(empty(), text=wrote), make_target(), abstentions=(refused,))
    write_report(tmp_path / 'report.html', answer, ReportNotes(truth={'contact': '1.2 mm'}))
    text = (tmp_path / 'report.html').read_text()
    assert '<script' not in text
    assert '&lt;script&gt;' in text
    for expected in ('TOO_WIDE', '140 mm', '1.2 mm', '0.050, 0.000, 0.800', '40 mm', 'data:image/png;base64,'):
        assert expected in text
    assert 'http' not in text


def test_outputs_are_written(tmp_path: Path) -> None:
    paths = write_outputs(tmp_path / 'deep' / 'out', make_answer(empty()), ReportNotes())
    assert [path.name for path in paths] == ['overlay.png', 'view_3d.png', 'answer.json', 'report.html']
    assert all(path.stat().st_size > 500 for path in paths)
    assert json.loads(paths[2].read_text())['outcome'] == 'EMPTY_MODEL_OUTPUT'
