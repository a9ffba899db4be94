# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Converted checkpoints answer as the originals do: through transformers, and merged through our own loader."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip('torch')
from PIL import Image  # noqa: E402

from affordance_ros.cli import app  # noqa: E402
from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.models import load_model  # noqa: E402
from affordance_ros.models.conversion import ConvertRequest, converter  # noqa: E402
from affordance_ros.models.conversion.merged_lora import merge_checkpoint, write_shards  # noqa: E402
from affordance_ros.results import Frame, Query  # noqa: E402

DATA = Path(__file__).parents[2] / 'data' / 'parity' / 'robopoint'
CHECKPOINTS = DATA / 'checkpoint'
CLIP = CHECKPOINTS / 'clip-vit-tiny-patch14'
QUESTION = 'Find a few spots within the vacant area to the right of the red mug.'
NEW_TOKENS = 48
CASES = {
    'robopoint-v1-vicuna-v1.5-tiny': None,
    'robopoint-v1-llama-2-tiny': None,
    'robopoint-v1-vicuna-v1.5-tiny-lora': 'vicuna-tiny-v1.5',
    'robopoint-v1-llama-2-tiny-lora': 'llama-2-tiny-chat-hf',
}


@pytest.fixture(scope='module')
def rgb():
    return np.array(Image.open(DATA / 'inputs' / 'images' / 'counter_640x480.png').convert('RGB'))


def base_of(name):
    return CHECKPOINTS / CASES[name] if CASES[name] else None


def load(folder, base=None):
    options = {'base': str(base)} if base else {}
    return load_model(
        'robopoint', folder, clip=str(CLIP), template='vicuna_v1', max_new_tokens=NEW_TOKENS, **options
    )  # fmt: skip


def answer(model, rgb):
    return model.predict(Frame(rgb), Query(QUESTION, task='text')).text


@pytest.mark.parametrize('name', CASES)
def test_transformers_writes_the_same_answer(name, rgb, tmp_path):
    from transformers import AutoProcessor, LlavaForConditionalGeneration

    ours = load(CHECKPOINTS / name, base_of(name))
    out = tmp_path / 'hf'
    converter('robopoint', 'hf-llava')(ConvertRequest(CHECKPOINTS / name, out, CLIP, base_of(name), 'float32'))
    model, info = LlavaForConditionalGeneration.from_pretrained(out, output_loading_info=True, dtype=torch.float32)
    assert not any(info.values())
    processor = AutoProcessor.from_pretrained(out)
    turn = {'role': 'user', 'content': [{'type': 'image'}, {'type': 'text', 'text': QUESTION}]}
    prompt = processor.apply_chat_template([turn], add_generation_prompt=True)
    inputs = processor(text=prompt, images=Image.fromarray(rgb), return_tensors='pt')
    np.testing.assert_array_equal(inputs['pixel_values'][0], ours.network.pixels(rgb))
    ids = inputs['input_ids'][0].tolist()
    images = processor.tokenizer.convert_tokens_to_ids('<image>')
    assert [i for i in ids if i != images] == [i for i in ours.tokenizer.encode_prompt(prompt) if i >= 0]
    with torch.inference_mode():
        logits = model(**inputs).logits[0, -1]
        features = ours.network.image_features(ours.network.pixels(rgb))
        embeddings = ours.network.embed(ours.tokenizer.encode_prompt(prompt), [features])
        wanted = ours.network.llm(inputs_embeds=embeddings).logits[0, -1]
    torch.testing.assert_close(logits[: len(wanted)], wanted, atol=1e-4, rtol=0)
    new = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)[0][len(ids) :]
    assert processor.tokenizer.decode(new, skip_special_tokens=True).strip() == answer(ours, rgb)


@pytest.mark.parametrize('name', [name for name, base in CASES.items() if base])
def test_a_merged_lora_answers_as_the_unmerged_one(name, rgb, tmp_path):
    out = tmp_path / 'merged'
    merge_checkpoint(ConvertRequest(CHECKPOINTS / name, out, CLIP, base_of(name), 'float32'))
    assert answer(load(out), rgb) == answer(load(CHECKPOINTS / name, base_of(name)), rgb)
    assert not (out / 'adapter_config.json').exists()


def test_the_verbs(tmp_path):
    run = CliRunner().invoke
    lora, base = CHECKPOINTS / 'robopoint-v1-vicuna-v1.5-tiny-lora', CHECKPOINTS / 'vicuna-tiny-v1.5'
    merged = run(
        app, [str(word) for word in ('merge-lora', lora, '--base', base, '--clip', CLIP, '--out', tmp_path / 'm')]
    )
    assert merged.exit_code == 0, merged.output
    assert json.loads((tmp_path / 'm' / 'config.json').read_text())['torch_dtype'] == 'float16'
    words = ('convert', 'robopoint', tmp_path / 'm', '--clip', CLIP, '--to', 'hf-llava', '--out', tmp_path / 'h')
    assert run(app, [str(word) for word in words]).exit_code == 0
    assert (tmp_path / 'h' / 'tokenizer.json').is_file()
    again = run(app, [str(word) for word in words])
    assert again.exit_code == 2
    assert 'is not empty' in again.stderr
    other = run(app, ['convert', 'robopoint', str(lora), '--to', 'onnx', '--out', str(tmp_path / 'x')])
    assert other.exit_code == 2
    assert 'robopoint --to hf-llava' in other.stderr


def test_a_full_checkpoint_is_no_lora(tmp_path):
    with pytest.raises(AffordanceError, match='is no LoRA') as caught:
        merge_checkpoint(ConvertRequest(CHECKPOINTS / 'robopoint-v1-llama-2-tiny', tmp_path / 'out', CLIP))
    assert caught.value.code == Code.BAD_INPUT


def test_large_checkpoints_are_written_in_shards(tmp_path):
    tensors = {f'layer.{index}': torch.full((10,), float(index)) for index in range(5)}
    write_shards(tmp_path, tensors, limit=90)
    index = json.loads((tmp_path / 'model.safetensors.index.json').read_text())
    assert sorted(set(index['weight_map'].values())) == [f'model-{i:05d}-of-00003.safetensors' for i in (1, 2, 3)]
    from affordance_ros.models.parts.checkpoint import read_tensors, weight_files

    found = dict(read_tensors(weight_files(tmp_path)))
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
