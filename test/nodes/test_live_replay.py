# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag shown to the real nodes: the answers are those of the offline replay, and what drops or times out is told."""

import json
from dataclasses import replace

import numpy as np
import pytest
import typer

pytest.importorskip('rclpy')

from affordance_ros.cli.evaluate import BagRequest, run_bag  # noqa: E402
from affordance_ros.cli.live import LiveRequest, run_live  # noqa: E402
from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.evaluation.records import RunFolder  # noqa: E402
from affordance_ros.evaluation.synthetic_bags import BagRecipe, write_synthetic_bag  # noqa: E402
from affordance_ros.scenes import sample_scene  # noqa: E402

pytestmark = pytest.mark.ros
SENTENCES = ['grasp the red mug at 64,70', 'nothing here']
FRAMES = 6


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """A camera that turns, noisy depth, transforms on /tf, and time that jumps back in the middle."""
    folder = tmp_path_factory.mktemp('live')
    scene = sample_scene(3, 'pocket', must_have=('red', 'mug'))
    recipe = BagRecipe(frames=FRAMES, fps=5.0, turn_deg=5.0, noise=True, loop=True, depth='compressedDepth', jpeg=True)
    write_synthetic_bag(folder, scene, recipe)
    (folder / 'asked.json').write_text(json.dumps(SENTENCES))
    return folder


@pytest.fixture(scope='module')
def unaligned(tmp_path_factory):
    """Depth of a camera of its own, which the nodes register."""
    folder = tmp_path_factory.mktemp('unaligned')
    recipe = BagRecipe(frames=2, unaligned=True, depth='32FC1', turn_deg=5.0)
    write_synthetic_bag(folder, sample_scene(3, 'pocket', must_have=('red', 'mug')), recipe)
    (folder / 'asked.json').write_text(json.dumps(SENTENCES[:1]))
    return folder


def request(bag, out, **more):
    return BagRequest(bag / 'bag', str(bag / 'asked.json'), out, model='fake', pictures=False, **more)


def lines(out):
    return list(RunFolder(out).answers())


def assert_alike(offline, online):
    """The same up to the 32-bit numbers of the messages."""
    assert (online['stamp_ns'], online['prompt']) == (offline['stamp_ns'], offline['prompt'])
    assert (online['outcome'], online['message']) == (offline['outcome'], offline['message'])
    assert online['frame'] == offline['frame']
    assert online['prediction']['text'] == offline['prediction']['text']
    assert len(online['targets']) == len(offline['targets'])
    for got, wanted in zip(online['targets'], offline['targets'], strict=True):
        for name in ('grasp_in_camera', 'grasp_in_target_frame'):
            np.testing.assert_allclose(got[name]['position_m'], wanted[name]['position_m'], atol=1e-6)
            np.testing.assert_allclose(got[name]['orientation_xyzw'], wanted[name]['orientation_xyzw'], atol=1e-6)
        np.testing.assert_allclose(got['contact']['point_m'], wanted['contact']['point_m'], atol=1e-6)
        np.testing.assert_allclose(got['score'], wanted['score'], atol=1e-5)
        assert got['width_m'] == pytest.approx(wanted['width_m'], abs=1e-6)
    codes = [[item['code'] for item in record['abstentions']] for record in (online, offline)]
    assert codes[0] == codes[1]


@pytest.mark.usefixtures('ros_domain')
def test_offline_and_online_answers_agree(bag, tmp_path) -> None:
    run_bag(request(bag, tmp_path / 'offline'))
    run_live(LiveRequest(request(bag, tmp_path / 'online')))
    offline, online = lines(tmp_path / 'offline'), lines(tmp_path / 'online')
    assert len(online) == len(offline) == FRAMES * len(SENTENCES)
    assert 'OK' in {line['outcome'] for line in offline}
    for wanted, got in zip(offline, online, strict=True):
        assert_alike(wanted, got)
    made = {path.name for path in (tmp_path / 'offline').iterdir()}
    assert made <= {path.name for path in (tmp_path / 'online').iterdir()}
    metrics = json.loads((tmp_path / 'online' / 'metrics.json').read_text())
    assert metrics['timeouts'] == 0
    assert metrics['frames']['dropped'] == 0


@pytest.fixture(scope='module')
def slow_suite(module_suite):
    """Nodes that run already, with a model that takes 0.3 s."""
    simulated = {
        'use_sim_time': True,
        'input.image_transport': 'compressed',
        'input.depth_transport': 'compressedDepth',
    }
    model = {'model.name': 'fake', 'model.options': '{"delay_s": 0.3}', 'tf.target_frame': 'table'}
    module_suite.start('affordance_node', simulated | model)
    module_suite.start('target_node', {'use_sim_time': True})
    return module_suite


@pytest.mark.usefixtures('slow_suite')
def test_in_real_time_a_slow_model_drops_frames(bag, tmp_path) -> None:
    asked = request(bag, tmp_path / 'out')
    run_live(LiveRequest(asked, rate=1.0, running=True))
    answers = lines(tmp_path / 'out')
    frames = json.loads((tmp_path / 'out' / 'metrics.json').read_text())['frames']
    assert frames['in_bag'] == FRAMES
    assert frames['dropped'] + frames['asked'] == FRAMES
    assert frames['dropped'] > 0  # 0.2 s between the frames, 0.3 s and more for an answer
    assert len(answers) == len({(line['frame_index'], line['prompt']) for line in answers}) > 0
    times = list(RunFolder(tmp_path / 'out').times())
    ages = [line['image_age_s'] for line in times if 'image_age_s' in line]
    assert ages
    assert all(0 <= age < 60 for age in ages)
    assert json.loads((tmp_path / 'out' / 'run.json').read_text())['mode'] == 'live, real time x1'


@pytest.mark.usefixtures('slow_suite')
def test_an_answer_that_does_not_come_in_time_fails_the_run(bag, tmp_path) -> None:
    asked = request(bag, tmp_path / 'out', frames='every:3')
    with pytest.raises(typer.Exit) as ended:
        run_live(LiveRequest(asked, timeout_s=0.15, running=True))
    assert ended.value.exit_code == 1
    assert [line['outcome'] for line in lines(tmp_path / 'out')] == ['TIMEOUT'] * 4
    assert 'timeouts is 4' in (tmp_path / 'out' / 'report.html').read_text()


@pytest.mark.usefixtures('ros_domain')
def test_depth_of_another_camera_is_registered_alike(unaligned, tmp_path) -> None:
    run_bag(request(unaligned, tmp_path / 'offline'))
    run_live(LiveRequest(request(unaligned, tmp_path / 'online')))
    offline, online = lines(tmp_path / 'offline'), lines(tmp_path / 'online')
    assert len(online) == len(offline) == 2
    for wanted, got in zip(offline, online, strict=True):
        assert wanted['prediction'] is not None
        assert_alike(wanted, got)


@pytest.mark.usefixtures('ros_domain')
def test_a_model_that_cannot_be_loaded_is_told_at_once(bag, tmp_path) -> None:
    asked = replace(request(bag, tmp_path / 'out'), model='robopoint', checkpoint=str(tmp_path))
    with pytest.raises(AffordanceError, match=r'no config\.json') as caught:
        run_live(LiveRequest(asked))
    assert caught.value.code == Code.MISSING_WEIGHTS
    assert not (tmp_path / 'out' / 'run.json').exists()


@pytest.mark.usefixtures('ros_domain')
def test_a_graph_that_is_not_there_is_named(bag, tmp_path) -> None:
    asked = LiveRequest(request(bag, tmp_path / 'out'), running=True, ready_s=1.0, affordance_node='/nobody')
    with pytest.raises(AffordanceError, match='/nobody is not active after 1 s'):
        run_live(asked)


def test_an_image_that_is_shown_again_brings_its_transforms_again(bag, suite) -> None:
    """A node that hears of the jump back in time after the new transforms forgets these with the old ones."""
    from tf2_msgs.msg import TFMessage

    from affordance_ros.bags import BagTopics
    from affordance_ros.bags.recorded_frames import BagIndex
    from affordance_ros.nodes.bag_player import BagPlayer

    with BagIndex(bag / 'bag', BagTopics()) as index:
        player = BagPlayer(suite.client.node, index)
        try:
            heard = suite.client.listen(TFMessage, '/tf')
            suite.client.wait_for(lambda: suite.client.node.count_subscribers('/tf'), what='the connection')
            first = index.first_stamp_ns
            assert player.show(first) is None
            suite.client.wait_for(lambda: heard, what='the transforms')
            suite.client.forget(heard)
            again = suite.client.listen(TFMessage, '/tf')
            assert player.show(first) is None
            suite.client.wait_for(lambda: again, what='the transforms once more')
            assert again[-1].transforms == heard[0].transforms
        finally:
            player.close()
