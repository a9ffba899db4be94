# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The console command: answers, files, sentences for bad input and exit codes."""

import json
import mmap
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from affordance_ros.bags import read_frames
from affordance_ros.cli import app
from affordance_ros.cli.demo import find_setting
from affordance_ros.cli.doctor import findings, left_in
from affordance_ros.errors import AffordanceError, Code

pytest.importorskip('open3d')
HANDS = Path(__file__).resolve().parent / 'data' / 'parity' / 'handsonvlm'
EXAMPLE = Path(__file__).resolve().parent.parent / 'examples' / 'predict_image.py'


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one simulated table with a red mug."""
    folder = tmp_path_factory.mktemp('scene')
    result = run('scene', '--seed', 5, '--preset', 'vga', '--must-have', 'red mug', '--out', folder)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope='module')
def camera(scene: Path) -> str:
    k = json.loads((scene / 'truth.json').read_text())['intrinsics_px']
    return f'{k["fx"]},{k["fy"]},{k["cx"]},{k["cy"]}'


def ask(scene: Path, camera: str, out: Path, *more: object, sentence: str = 'point here') -> Result:
    depth = ('--depth', scene / 'depth.png', '--intrinsics', camera)
    return run('predict', scene / 'rgb.png', sentence, '--model', 'fake', '--out', out, *depth, *more)


def test_a_scene_is_written_with_its_truth_and_its_bag(scene: Path) -> None:
    truth = json.loads((scene / 'truth.json').read_text())
    assert 'red mug' in truth['objects']
    parts = cv2.imread(str(scene / 'parts.png'), cv2.IMREAD_UNCHANGED)
    for part in truth['parts']:
        assert int((parts == part['id']).sum()) == part['visible_px']
    (frame,) = read_frames(scene / 'bag')
    rgb = cv2.imread(str(scene / 'rgb.png'))[..., ::-1]
    np.testing.assert_array_equal(frame.rgb, rgb)
    millimetres = cv2.imread(str(scene / 'depth.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(np.nan_to_num(np.asarray(frame.depth)) * 1000, millimetres, atol=0.01)
    assert frame.target_frame == 'table'
    assert run('scene', '--seed', 5, '--must-have', 'red mug', '--out', scene).exit_code == 0  # again, over itself


def test_predict_with_depth_finds_the_contact_on_the_part(scene: Path, camera: str, tmp_path: Path) -> None:
    truth = json.loads((scene / 'truth.json').read_text())
    parts = cv2.imread(str(scene / 'parts.png'), cv2.IMREAD_UNCHANGED)
    part = max(truth['parts'], key=lambda entry: entry['visible_px'])
    inside = cv2.distanceTransform((parts == part['id']).astype(np.uint8), cv2.DIST_L2, 5)
    v, u = np.unravel_index(int(inside.argmax()), inside.shape)
    result = ask(scene, camera, tmp_path, sentence=f'point at {u},{v}')
    assert result.exit_code in (0, 3), result.output
    for name in ('overlay.png', 'view_3d.png', 'report.html', 'answer.json'):
        assert (tmp_path / name).stat().st_size > 1000
    record = json.loads((tmp_path / 'answer.json').read_text())
    assert record['prediction']['keypoints_uv_px'] == [[u, v]]
    assert result.exit_code == (0 if record['targets'] else 3)
    depth = cv2.imread(str(scene / 'depth.png'), cv2.IMREAD_UNCHANGED)[v, u] / 1000
    assert abs(record['contacts'][0]['point_m'][2] - depth) < 0.01


def test_predict_takes_the_images_of_a_clip(tmp_path: Path) -> None:
    images = sorted((HANDS / 'inputs' / 'clip_640x480').glob('*.png'))
    checkpoint = next((HANDS / 'checkpoint').glob('*/added_tokens.json')).parent
    options = ('--option', 'decode=constrained', '--option', 'samples=2', '--task', 'right_hand')
    model = ('--model', 'handsonvlm', '--checkpoint', checkpoint)
    result = run('predict', *images, 'take the blue plate', *model, *options, '--out', tmp_path)
    assert result.exit_code == 0, result.output
    assert 'right hand, pixels:' in result.output
    assert 'at 1.00 s' in result.output
    (hand,) = json.loads((tmp_path / 'answer.json').read_text())['prediction']['hands']
    assert (hand['side'], hand['times_s'], len(hand['points_uv_px'])) == ('right', [0.25, 0.5, 0.75, 1.0], 4)
    assert all(spread > 0 for spread in hand['spread_px'])
    assert hand['present'] is None
    assert not any('still image' in text for text in hand['caveats'])
    assert cv2.imread(str(tmp_path / 'overlay.png')).shape == (480, 640, 3)


def test_predict_refuses_a_clip_for_a_model_of_one_image(scene: Path, tmp_path: Path) -> None:
    images = (scene / 'rgb.png', scene / 'rgb.png')
    result = run('predict', *images, 'point at 20,30', '--model', 'fake', '--out', tmp_path)
    assert result.exit_code == 2
    assert 'fake looks at one' in result.output
    assert run('predict', 'point at 20,30', '--model', 'fake', '--out', tmp_path).exit_code == 2


def test_predict_without_depth_answers_in_the_image(scene: Path, tmp_path: Path) -> None:
    result = run('predict', scene / 'rgb.png', 'point at 20,30', '--model', 'fake', '--out', tmp_path)
    assert result.exit_code == 0, result.output
    assert '(20, 30)' in result.output
    assert json.loads((tmp_path / 'answer.json').read_text())['targets'] == []


def test_finding_nothing_is_exit_code_3(scene: Path, camera: str, tmp_path: Path) -> None:
    result = ask(scene, camera, tmp_path, sentence='nothing')
    assert result.exit_code == 3
    assert 'EMPTY_MODEL_OUTPUT' in result.output + result.stderr


def test_a_refusal_of_the_model_keeps_its_code(scene: Path, camera: str, tmp_path: Path) -> None:
    result = ask(scene, camera, tmp_path, '--option', 'fail=OOM')
    assert result.exit_code == 1
    assert 'OOM' in result.stderr


BAD = [
    (('--model', 'fakee'), "did you mean 'fake'"),
    (('--depth', 'absent.png'), 'no depth file absent.png'),
    (('--intrinsics', ''), 'depth needs the camera'),
    (('--intrinsics', '1,2,3'), 'neither a file nor four numbers'),
    (('--intrinsics', '-1,2,3,4'), 'must be positive'),
    (('--intrinsics', '500,500,5000,240'), 'another resolution'),
    (('--depth-scale', '1'), 'set the depth scale'),
    (('--depth-scale', 'nan'), 'metres per unit'),
    (('--gripper', 'pandas'), 'unknown gripper'),
    (('--option', 'speed=3'), "no option 'speed'"),
    (('--option', 'speed'), 'NAME=VALUE'),
]


@pytest.mark.parametrize(('more', 'expected'), BAD, ids=[text for _, text in BAD])
def test_bad_input_is_exit_code_2_with_a_sentence(
    scene: Path, camera: str, tmp_path: Path, more: tuple[str, ...], expected: str
) -> None:
    result = ask(scene, camera, tmp_path, *more)
    assert result.exit_code == 2, result.output
    assert expected in ' '.join(result.stderr.split())
    assert 'Traceback' not in result.output


def test_bad_files_are_refused(scene: Path, camera: str, tmp_path: Path) -> None:
    text = tmp_path / 'text.png'
    text.write_text('no picture')
    small = tmp_path / 'small.png'
    cv2.imwrite(str(small), np.full((10, 10), 500, np.uint16))
    bytes_depth = tmp_path / 'bytes.png'
    cv2.imwrite(str(bytes_depth), np.full((480, 640), 50, np.uint8))
    for more, code in (
        (('--depth', text), 'BAD_ENCODING'),
        (('--depth', small), 'UNALIGNED'),
        (('--depth', bytes_depth), 'BAD_ENCODING'),
        (('--intrinsics', text), 'BAD_INPUT'),
    ):
        result = ask(scene, camera, tmp_path / 'out', *more)
        assert (result.exit_code, code in result.stderr) == (2, True), (more, result.output, result.stderr)
    for image, code in ((text, 'BAD_ENCODING'), (tmp_path / 'absent.png', 'BAD_INPUT')):
        result = run('predict', image, 'x', '--model', 'fake', '--out', tmp_path / 'out')
        assert (result.exit_code, code in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('k.txt', '600 0 320\n0 610 240\n0 0 1\n'),
        ('k.json', '{"fx": 600, "fy": 610, "x_offset": 320, "y_offset": 240}'),
        (
            'info.yaml',
            'image_width: 640\nimage_height: 480\ncamera_matrix:\n  data: [600, 0, 320, 0, 610, 240, 0, 0, 1]\n',
        ),
        ('msg.yaml', 'width: 640\nheight: 480\nk: [600, 0, 320, 0, 610, 240, 0, 0, 1]\n'),
    ],
)
def test_intrinsics_come_in_many_forms(scene: Path, tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    result = ask(scene, str(tmp_path / name), tmp_path / 'out')
    assert result.exit_code in (0, 3), result.output
    record = json.loads((tmp_path / 'out' / 'answer.json').read_text())
    assert record['frame']['intrinsics_px'] == {'fx': 600, 'fy': 610, 'cx': 320, 'cy': 240}


def test_65535_zero_and_nan_are_no_depth(scene: Path, camera: str, tmp_path: Path) -> None:
    depth = np.full((480, 640), 700, np.uint16)
    depth[200:280, 280:360] = 65535
    depth[100:180, 280:360] = 0
    np.save(tmp_path / 'holes.npy', depth)
    result = ask(scene, camera, tmp_path, '--depth', tmp_path / 'holes.npy', sentence='at 320,240 at 320,140')
    assert result.exit_code == 3
    record = json.loads((tmp_path / 'answer.json').read_text())
    assert [item['code'] for item in record['abstentions']] == ['NO_DEPTH', 'NO_DEPTH']


def test_listing_and_help() -> None:
    listed = run('models')
    assert listed.exit_code == 0
    assert 'robopoint' in listed.output
    shown = run('--help')
    assert 'Exit codes' in shown.output
    assert run('scene', '--out', 'x', '--preset', '4k').exit_code == 2


def test_the_doctor_tells_the_way_out_of_everything_missing() -> None:
    found = list(findings())
    names = {finding.name for finding in found}
    assert {'python', 'rclpy', 'our interfaces', 'torch', 'open3d', 'disk', 'robopoint pocket'} <= names
    assert all(finding.way_out for finding in found if finding.state == 'missing')
    assert next(finding for finding in found if finding.name == 'numpy').detail == np.__version__


def test_the_doctor_sees_shared_memory_that_killed_programs_left(tmp_path: Path) -> None:
    left, used = (tmp_path / f'fastrtps_{digit * 16}' for digit in '12')
    for path in (left, used):
        path.write_bytes(bytes(3 * 2**20))
    (tmp_path / 'fastrtps_port7411').write_bytes(b'x')  # ports belong to all programs
    with used.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
        (note,) = left_in(tmp_path)
    assert (note.state, note.detail) == ('note', '3 MiB in 1 file(s) of ROS programs that were killed')
    assert f'rm {tmp_path}/fastrtps_*' in note.way_out
    left.unlink()
    used.unlink()
    assert list(left_in(tmp_path)) == []


def test_the_demo_puts_the_named_object_into_the_scene() -> None:
    setting = find_setting('grasp the red mug by its handle', seed=1)
    assert (setting.part.color, setting.part.object_name, setting.part.part) == ('red', 'mug', 'handle')
    with pytest.raises(AffordanceError, match='there is: ') as caught:
        find_setting('grasp the green elephant', seed=1)
    assert caught.value.code is Code.BAD_INPUT


def test_the_example_runs(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        sys, 'argv', [str(EXAMPLE), str(scene / 'rgb.png'), 'point at 40,50', 'fake', str(tmp_path / 'x.png')]
    )
    runpy.run_path(str(EXAMPLE), run_name='__main__')
    assert '(40.0, 50.0)' in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / 'x.png')).shape == (480, 640, 3)


ROBOINTER = Path(__file__).parent / 'data' / 'parity' / 'robointer'


@pytest.mark.parametrize(
    ('words', 'answers'),
    [
        (('which way?', '--task', 'choice', '--choice', 'left', '--choice', 'right'), ('left', 'right')),
        (('is it done?', '--task', 'decide'), ('yes', 'no')),
    ],
)
def test_an_answer_in_words_is_an_answer(tmp_path: Path, words: tuple[str, ...], answers: tuple[str, ...]) -> None:
    pytest.importorskip('llguidance')
    checkpoint = ('--checkpoint', ROBOINTER / 'llavaov' / 'checkpoint')
    options = (
        '--option',
        f'siglip={ROBOINTER / "llavaov" / "siglip-tiny-patch14-384"}',
        '--option',
        'decode=constrained',
    )
    image = ROBOINTER / 'images' / 'droid_320x180.png'
    result = run('predict', image, *words, '--model', 'robointer', *checkpoint, *options, '--out', tmp_path)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / 'answer.json').read_text())
    assert record['prediction']['text'] in answers
    assert record['outcome'] == 'OK'
