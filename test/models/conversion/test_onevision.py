# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboInter, converted, answers in transformers as the official code does in its own layout."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip('torch')
from PIL import Image  # noqa: E402

from affordance_ros.cli import app  # noqa: E402
from affordance_ros.models import load_model  # noqa: E402

SET = Path(__file__).parents[2] / 'data' / 'parity' / 'robointer'
SIGLIP = SET / 'llavaov' / 'siglip-tiny-patch14-384'
CASES = json.loads((SET / 'llavaov' / 'expected' / 'expected.json').read_text())['cases']


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp('converted') / 'hf'
    words = ('convert', 'robointer', SET / 'llavaov' / 'checkpoint', '--to', 'hf-llava-onevision', '--out', out,
             '--siglip', SIGLIP, '--dtype', 'float32')  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return out


@pytest.mark.parametrize('case', ['table_640x480', 'droid_320x180', 'portrait_360x640'])
def test_transformers_writes_the_official_answer(folder, case):
    from transformers import AutoTokenizer, LlavaOnevisionForConditionalGeneration

    model, info = LlavaOnevisionForConditionalGeneration.from_pretrained(
        folder, output_loading_info=True, dtype=torch.float32
    )
    assert not any(info.values())
    ours = load_model('robointer', SET / 'llavaov' / 'checkpoint', siglip=str(SIGLIP))
    want = np.load(SET / 'llavaov' / 'expected' / f'{case}.npz')
    rgb = np.array(Image.open(SET / 'images' / f'{case}.png').convert('RGB'))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = ours.network.anyres.token_count(rgb.shape[1], rgb.shape[0])
    turn = {'role': 'user', 'content': CASES[case]['question']}
    prompt = tokenizer.apply_chat_template([turn], tokenize=False, add_generation_prompt=True)
    assert prompt == CASES[case]['prompt_text']
    ids = tokenizer.encode(prompt.replace('<image>', '<image>' * tokens), add_special_tokens=False)
    tiles = ours.network.anyres.tiles(rgb)
    pixels = torch.from_numpy(((tiles / 255 - 0.5) / 0.5).transpose(0, 3, 1, 2)).float()[None]
    inputs = {
        'input_ids': torch.tensor([ids]), 'attention_mask': torch.ones(1, len(ids), dtype=torch.long),
        'pixel_values': pixels, 'image_sizes': torch.tensor([rgb.shape[:2]]), 'batch_num_images': torch.tensor([1]),
    }  # fmt: skip
    with torch.inference_mode():
        logits = model(**inputs, logits_to_keep=1).logits[0, -1]
    np.testing.assert_allclose(logits[: len(want['last_logits'])].numpy(), want['last_logits'], atol=1e-4, rtol=0)
    new = model.generate(**inputs, max_new_tokens=32, do_sample=False, repetition_penalty=1.0)[0][len(ids) :]
    assert new.tolist() == want['greedy_ids_no_penalty'].tolist()


def test_the_image_processor_cuts_the_same_tiles(folder):
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(folder, backend='pil')
    ours = load_model('robointer', SET / 'llavaov' / 'checkpoint', siglip=str(SIGLIP))
    rgb = np.array(Image.open(SET / 'images' / 'table_640x480.png').convert('RGB'))
    pixels = np.asarray(processor(images=Image.fromarray(rgb), return_tensors='np')['pixel_values'][0])
    tiles = (ours.network.anyres.tiles(rgb) / 255 - 0.5) / 0.5
    np.testing.assert_allclose(pixels, tiles.transpose(0, 3, 1, 2), atol=1e-6)
    assert json.loads((folder / 'generation_config.json').read_text())['repetition_penalty'] == 1.05
