# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks for the answers of any model: contract of the wrapper, pairing of boxes and points, refusals."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # for tiny_sam2

import tiny_sam2

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.lifting import LiftSettings, spots_of
from affordance_ros.models import load_model
from affordance_ros.models.base import STAGES, BatchModel
from affordance_ros.models.parts.sam import Sam, SamGeometry
from affordance_ros.models.parts.sam1 import Sam1
from affordance_ros.models.parts.segmenting import MaskPrompts
from affordance_ros.models.refine import Refined
from affordance_ros.models.worker import ModelWorker, WorkerSpec
from affordance_ros.pipeline import PipelineSettings, run
from affordance_ros.results import Boxes, Frame, Heatmap, Intrinsics, Keypoints, Masks, Prediction, Query

SAM1 = SamGeometry(
    channels=32, decoder_layers=2, decoder_mlp=24, decoder_inner=16, hyper=(32, 32, 32, 4), iou=(32, 20, 20, 4),
    mask_tokens=4, mask_channels=16, patch=8, grid=10, vit_dim=24, vit_heads=3, vit_mlp=48, windows=(4, 0),
)  # fmt: skip
IMAGE = Path(__file__).parents[1] / 'data' / 'parity' / 'sam2' / 'inputs' / 'mug_640x480.png'


@pytest.fixture(scope='module')
def sam2_folder(tmp_path_factory):
    return str(tiny_sam2.build_folder(tmp_path_factory.mktemp('sam2')))


@pytest.fixture(scope='module')
def sam1_file(tmp_path_factory):
    torch.manual_seed(3)
    sam = Sam(SAM1)
    with torch.no_grad():
        for parameter in sam.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    path = tmp_path_factory.mktemp('sam1') / 'sam_vit_tiny.pth'
    torch.save(sam.state_dict(), path)
    return str(path)


@pytest.fixture(scope='module', params=['sam2', 'sam'])
def refined(request, sam2_folder, sam1_file):
    return load_model(
        'fake', refine=request.param, **{request.param: {'sam2': sam2_folder, 'sam': sam1_file}[request.param]}
    )


@pytest.fixture(scope='module')
def frame():
    return Frame(np.array(Image.open(IMAGE).convert('RGB')))


class Recording:
    """A segmenter that remembers the prompts and gives each a mask of its own size."""

    name, source, parts = 'sam2', 'recorded', ()

    def __init__(self):
        self.prompts = []

    def segment(self, rgb, prompts, stop=None):
        assert stop is None or not stop()
        self.prompts.append(prompts)
        masks = np.zeros((len(prompts), *rgb.shape[:2]), bool)
        for index in range(len(prompts)):
            masks[index, : index + 1] = True
        return Masks(masks, np.linspace(0.5, 0.9, len(prompts)))


class Answering:
    """A model that gives one prepared answer."""

    outputs = frozenset({'keypoints', 'boxes'})

    def __init__(self, **answer):
        self._answer = answer

    def predict(self, _, query, **__):
        return Prediction(model='answering', query=query, **self._answer)


def ask(frame, **answer):
    segmenter = Recording()
    prediction = Refined(Answering(**answer), segmenter).predict(frame, Query('x'))
    return prediction, [prompts for prompts in segmenter.prompts if len(prompts)]


def test_every_point_gets_a_mask_that_the_segmenter_would_give(refined, frame):
    prediction = refined.predict(frame, Query('at 100,120 at 400,300'))
    alone = refined.segmenter.segment(frame.rgb, MaskPrompts(points=[[100, 120], [400, 300]]))
    assert prediction.masks.masks.shape == (2, 480, 640)
    assert prediction.masks.masks.any()
    assert np.array_equal(prediction.masks.masks, alone.masks)
    assert np.array_equal(prediction.masks.scores, alone.scores)
    assert len(prediction.keypoints) == 2


def test_the_answer_and_its_text_stay(refined, frame):
    plain = load_model('fake').predict(frame, Query('at 100,120'))
    prediction = refined.predict(frame, Query('at 100,120'))
    assert prediction.text == plain.text
    assert np.array_equal(prediction.keypoints.points, plain.keypoints.points)
    assert prediction.seconds['refine'] > 0
    assert prediction.seconds['total'] >= prediction.seconds['refine']


def test_nothing_found_is_an_empty_set_of_masks(refined, frame):
    assert len(refined.predict(frame, Query('nothing at all')).masks) == 0


def test_a_clip_is_refined_on_its_newest_frame(refined, frame):
    old = Frame(np.zeros_like(frame.rgb))
    clip = refined.predict([old, frame], Query('at 320,240'))
    assert np.array_equal(clip.masks.masks, refined.predict(frame, Query('at 320,240')).masks.masks)


def test_progress_ends_with_the_stage_refine(refined, frame):
    steps = []
    prediction = refined.predict(frame, Query('at 100,120'), progress=steps.append)
    assert [STAGES.index(step.stage) for step in steps] == sorted(STAGES.index(step.stage) for step in steps)
    assert [step.fraction for step in steps] == sorted(step.fraction for step in steps)
    assert (steps[-1].stage, steps[-1].fraction, steps[-1].text) == ('refine', 1.0, prediction.text)


def test_stop_between_answer_and_masks_is_honoured(refined, frame):
    steps = []
    with pytest.raises(AffordanceError) as caught:
        refined.predict(
            frame, Query('at 1,2'), progress=steps.append, stop=lambda: any(s.stage == 'parse' for s in steps)
        )
    assert caught.value.code == Code.CANCELED


def test_describe_counts_the_segmenter(refined):
    info = refined.describe()
    assert info.name == 'fake'
    assert info.parameters == sum(p.numel() for p in refined.segmenter.parts[0].parameters())
    assert info.settings['refine'] == refined.segmenter.name
    assert info.settings[refined.segmenter.name] == refined.segmenter.source
    assert refined.outputs == {'keypoints', 'text', 'masks'}


def test_robopoint_and_sam2_answer_one_request(sam2_folder):
    model = load_model('robopoint', checkpoint='pocket', refine='sam2', sam2=sam2_folder)
    frame = Frame(np.full((240, 320, 3), 90, np.uint8))
    prediction = model.predict(frame, Query('Find a few spots within the vacant area on the table.'))
    assert len(prediction.masks) == len(prediction.keypoints) + len(prediction.boxes) > 0
    assert prediction.masks.masks.shape[1:] == (240, 320)
    assert model.describe().settings['refine'] == 'sam2'


def test_masks_come_back_from_the_model_process(sam2_folder):
    options = {'refine': 'sam2', 'sam2': sam2_folder}
    stages = []
    with ModelWorker(WorkerSpec('robopoint', 'pocket', options=options)) as worker:
        frame = Frame(np.full((240, 320, 3), 90, np.uint8))
        question = Query('Find a few spots within the vacant area on the table.')
        prediction = worker.predict(frame, question, progress=lambda step: stages.append(step.stage))
    assert len(prediction.masks) == len(prediction.keypoints) + len(prediction.boxes) > 0
    assert stages[-1] == 'refine'


def test_boxes_with_their_points_are_one_prompt_each(frame):
    boxes = Boxes([[10, 10, 50, 50], [60, 60, 90, 90]], labels=('hold', 'cut'))
    points = Keypoints([[20, 20], [70, 80]], labels=('hold', 'cut'))
    prediction, prompts = ask(frame, boxes=boxes, keypoints=points)
    assert len(prompts) == 1
    assert np.array_equal(prompts[0].boxes, boxes.boxes)
    assert np.array_equal(prompts[0].points, points.points)
    assert prediction.masks.labels == ('hold', 'cut')
    assert np.allclose(prediction.masks.scores, (0.5, 0.9))


@pytest.mark.parametrize(
    ('points', 'labels'), [([[20, 20], [5, 80]], ('hold', 'cut')), ([[20, 20], [70, 80]], ('hold', 'x'))]
)
def test_points_that_are_not_of_the_boxes_are_prompts_of_their_own(frame, points, labels):
    boxes = Boxes([[10, 10, 50, 50], [60, 60, 90, 90]], labels=('hold', 'cut'))
    prediction, prompts = ask(frame, boxes=boxes, keypoints=Keypoints(points, labels=labels))
    assert [prompt.boxes is None for prompt in prompts] == [True, False]
    assert prediction.masks.labels == (*labels, 'hold', 'cut')


def test_scores_of_the_answer_are_kept_and_the_network_fills_the_rest(frame):
    prediction, _ = ask(frame, keypoints=Keypoints([[1, 1], [2, 2]], scores=[0.25, np.nan]))
    assert prediction.masks.scores.tolist() == [0.25, 0.9]


def test_a_heatmap_is_refined_at_its_peak(frame):
    values = np.zeros((480, 640))
    values[200, 333] = 0.75
    prediction, prompts = ask(frame, heatmap=Heatmap(values))
    assert prompts[0].points.tolist() == [[333, 200]]
    assert prediction.masks.scores.tolist() == [0.75]
    assert len(ask(frame, heatmap=Heatmap(np.zeros((480, 640))))[0].masks) == 0


def test_an_answer_in_words_gets_no_masks(frame):
    assert ask(frame, text='It is a mug.')[0].masks is None


def test_sam_takes_boxes_and_pairs(sam1_file, frame):
    sam = Sam1(sam1_file)
    box, point = [[100, 80, 400, 360]], [[200, 200]]
    scores = {
        float(sam.segment(frame.rgb, MaskPrompts(*given)).scores[0]) for given in ((box,), (None, point), (box, point))
    }
    assert len(scores) == 3
    assert sam.images_encoded == 1


def test_a_missing_checkpoint_and_an_unknown_refinement_are_refused(tmp_path, sam2_folder):
    for options, code in (
        ({'refine': 'sam2'}, Code.MISSING_WEIGHTS),
        ({'refine': 'sam2', 'sam2': str(tmp_path / 'absent.pt')}, Code.MISSING_WEIGHTS),
        ({'refine': 'sam', 'sam': str(tmp_path / 'absent.pth')}, Code.MISSING_WEIGHTS),
        ({'refine': 'sam3', 'sam2': sam2_folder}, Code.BAD_INPUT),
        ({'refine': 'sam2', 'sam2': sam2_folder, 'sam_precision': 'best'}, Code.BAD_INPUT),
        ({'sam2': sam2_folder}, Code.BAD_INPUT),
    ):
        with pytest.raises(AffordanceError) as caught:
            load_model('fake', **options)
        assert caught.value.code == code, options


def test_the_segmenter_is_read_before_the_model(tmp_path):
    """A wrong path of masks must not show after minutes of loading weights."""
    with pytest.raises(AffordanceError, match='sam2_hiera_large') as caught:
        load_model('robopoint', checkpoint=str(tmp_path / 'no model'), refine='sam2', sam2=str(tmp_path / 'absent.pt'))
    assert caught.value.code == Code.MISSING_WEIGHTS
    with pytest.raises(AffordanceError, match="needs refine='sam2'"):
        load_model('robopoint', checkpoint='pocket', sam2=str(tmp_path))


def test_a_model_without_places_is_refused_before_it_is_loaded(sam2_folder):
    with pytest.raises(AffordanceError, match='hands|keypoints') as caught:
        load_model('handsonvlm', checkpoint='/nowhere', refine='sam2', sam2=sam2_folder)
    assert caught.value.code == Code.BAD_INPUT


def test_masks_bound_what_is_lifted():
    near, far = 0.5, 1.0
    depth = np.full((120, 160), far, np.float32)
    depth[:, :80] = near
    frame = Frame(np.zeros((120, 160, 3), np.uint8), depth, Intrinsics(200, 200, 80, 60, 160, 120))
    mask = np.zeros((1, 120, 160), bool)
    mask[0, :, 80:] = True

    class Far:
        name, source, parts = 'sam2', 'drawn', ()

        def segment(self, _, prompts, *__):
            return Masks(mask[: len(prompts)], np.ones(len(prompts)))

    plain = Answering(keypoints=Keypoints([[80, 60]]))
    without = run(plain, frame, Query('x'))
    within = run(Refined(plain, Far()), frame, Query('x'), PipelineSettings(lift=LiftSettings()))
    assert abs(without.contacts[0].point[2] - near) < 0.01  # the nearest surface beside the point
    assert abs(within.contacts[0].point[2] - far) < 0.01
    assert spots_of(within.prediction)[0].region is not None


def test_a_mask_that_leaves_its_point_out_does_not_bound_it():
    masks = Masks(np.zeros((1, 120, 160), bool))
    prediction = Prediction(model='m', query=Query('x'), keypoints=Keypoints([[80, 60]]), masks=masks)
    assert spots_of(prediction)[0].region is None


def test_batches_get_masks_where_the_model_takes_batches(sam2_folder):
    assert not isinstance(load_model('fake', refine='sam2', sam2=sam2_folder), BatchModel)
    model = load_model('robopoint', 'pocket', refine='sam2', sam2=sam2_folder)
    assert isinstance(model, BatchModel)
    rgb = np.array(Image.open(IMAGE).convert('RGB'))
    frames = [Frame(rgb), Frame(rgb[:300, :400].copy())]
    questions = [(frame, Query('grasp the red mug by its handle')) for frame in frames]
    for answer, (frame, query) in zip(model.predict_batch(questions), questions, strict=True):
        alone = model.predict(frame, query)
        assert np.array_equal(answer.result.masks.masks, alone.masks.masks)
        assert answer.result.masks.masks.shape[1:] == (frame.height, frame.width)
        assert answer.result.seconds.keys() == alone.seconds.keys()
