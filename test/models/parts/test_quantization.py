# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rounded weights answer nearly as full ones and take the memory that they should; loading holds nothing twice."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from torch import nn  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.models import load_model  # noqa: E402
from affordance_ros.models.parts.decoding import DecodeSettings, Prompt, PromptCache, Session, write  # noqa: E402
from affordance_ros.models.parts.device import count_memory  # noqa: E402
from affordance_ros.models.parts.placement import Placement, main_device, place  # noqa: E402
from affordance_ros.models.parts.quantization import quantize_linears  # noqa: E402
from affordance_ros.results import Frame, Query  # noqa: E402

PARITY = Path(__file__).parents[2] / 'data' / 'parity' / 'robopoint' / 'checkpoint'
FULL, LORA = 'robopoint-v1-vicuna-v1.5-tiny', 'robopoint-v1-vicuna-v1.5-tiny-lora'


@pytest.mark.parametrize(('quantization', 'error'), [('int8', 0.012), ('int4', 0.2)])
@pytest.mark.parametrize('size', [(256, 96), (50, 7), (64, 64), (1, 3)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_a_rounded_layer_is_near_the_full_one(quantization, error, size, dtype):
    torch.manual_seed(0)
    full = nn.Sequential(nn.Linear(*size)).to(dtype).requires_grad_(requires_grad=False)
    inputs = torch.randn(5, size[0], dtype=dtype)
    wanted = full(inputs).float()
    assert quantize_linears(full, quantization) == 1
    got = full(inputs).float()
    assert (got - wanted).abs().max() <= error * wanted.abs().max() + 0.01
    assert got.dtype == torch.float32
    assert full(inputs).dtype == dtype


def test_extreme_weights_stay_finite():
    layer = nn.Sequential(nn.Linear(130, 4, bias=False))
    layer[0].weight.data = torch.tensor([[0.0] * 130, [1e-30] * 130, [1e4] * 130, [-5.0] * 129 + [5.0]])
    for quantization in ('int8', 'int4'):
        copy = nn.Sequential(nn.Linear(130, 4, bias=False))
        copy.load_state_dict(layer.state_dict())
        quantize_linears(copy, quantization)
        weight = copy[0].weight_as(torch.float32)
        assert torch.isfinite(weight).all()
        torch.testing.assert_close(weight, layer[0].weight.data, rtol=0.07, atol=1e-6)


def test_the_large_activations_of_a_first_token_stay_finite_in_half_precision():
    """LLaMA writes thousands into two channels of the first token; products of whole codes would overflow there."""
    torch.manual_seed(0)
    full = nn.Sequential(nn.Linear(1024, 4, bias=False)).half().requires_grad_(requires_grad=False)
    full[0].weight.data = (torch.randn(4, 1024) * 0.02).half()
    full[0].weight.data[0, :4] = 1.5
    inputs = torch.randn(1, 1024).half()
    inputs[0, :4] = 430
    wanted = full(inputs).float()
    assert wanted.max() > 2500
    for quantization, error in (('int8', 0.01), ('int4', 0.1)):
        small = nn.Sequential(nn.Linear(1024, 4, bias=False)).half().requires_grad_(requires_grad=False)
        small.load_state_dict(full.state_dict())
        quantize_linears(small, quantization)
        torch.testing.assert_close(small(inputs).float(), wanted, rtol=error, atol=2.0)


def test_a_lora_is_merged_before_it_is_rounded():
    """Weight by weight, on the way in: the result is that of rounding the merged weights."""
    options = {'base': str(PARITY / 'vicuna-tiny-v1.5'), 'clip': str(PARITY / 'clip-vit-tiny-patch14')}
    merged = load_model('robopoint', PARITY / LORA, dtype='float16', **options).network.llm
    rounded = load_model('robopoint', PARITY / LORA, dtype='float16', quantization='int8', **options).network.llm
    quantize_linears(merged, 'int8')
    wanted, got = dict(merged.named_buffers()), dict(rounded.named_buffers())
    assert wanted.keys() == got.keys()
    assert sum(name.endswith('.codes') for name in got) == 21
    assert all(torch.equal(wanted[name], got[name]) for name in wanted)


def test_the_head_is_left_alone_and_memory_is_true():
    config = LlamaConfig(
        vocab_size=64, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4
    )
    llm = LlamaForCausalLM(config).half()
    count, before = count_memory([llm])
    assert quantize_linears(llm, 'int8') == 14
    assert isinstance(llm.lm_head, nn.Linear)
    count_8, int8 = count_memory([llm])
    llm = LlamaForCausalLM(config).half()
    quantize_linears(llm, 'int4')
    count_4, int4 = count_memory([llm])
    assert count == count_8 == count_4
    assert int4 < 0.75 * int8 < 0.5 * before


@pytest.mark.parametrize('name', [FULL, LORA])
@pytest.mark.parametrize('quantization', ['int8', 'int4'])
def test_a_checkpoint_is_rounded_while_it_is_read(name, quantization):
    options = {'base': str(PARITY / 'vicuna-tiny-v1.5')} if name == LORA else {}
    clip = str(PARITY / 'clip-vit-tiny-patch14')
    full = load_model('robopoint', PARITY / name, clip=clip, **options)
    small = load_model('robopoint', PARITY / name, clip=clip, quantization=quantization, **options)
    assert small.describe().memory_bytes < full.describe().memory_bytes
    assert small.describe().parameters == full.describe().parameters
    ids = full.tokenizer.encode_prompt('USER: where is the mug? ASSISTANT:')
    logits = [
        model.network.llm(inputs_embeds=model.network.embed(ids, [])).logits[0, -1].detach() for model in (full, small)
    ]
    similar = torch.nn.functional.cosine_similarity(logits[0], logits[1], dim=0)
    assert similar > (0.999 if quantization == 'int8' else 0.85)
    assert not torch.equal(logits[0], logits[1])
    rgb = np.zeros((48, 64, 3), np.uint8)
    assert isinstance(small.predict(Frame(rgb), Query('x', task='text')).text, str)


def test_unknown_quantization_and_attention_are_refused():
    for option in ({'quantization': 'int3'}, {'attention': 'fast'}):
        with pytest.raises(AffordanceError, match='is unknown') as caught:
            load_model('robopoint', PARITY / FULL, **option)
        assert caught.value.code == Code.BAD_INPUT


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine may have flash attention')
def test_flash_attention_without_a_gpu_is_refused():
    with pytest.raises(AffordanceError, match="use 'sdpa'"):
        load_model(
            'robopoint', PARITY / FULL, attention='flash_attention_2', clip=str(PARITY / 'clip-vit-tiny-patch14')
        )


def test_both_attentions_give_the_same_answer():
    rgb = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    clip = str(PARITY / 'clip-vit-tiny-patch14')
    texts = {
        load_model('robopoint', PARITY / FULL, clip=clip, attention=attention)
        .predict(Frame(rgb), Query('the mug', task='text'))
        .text
        for attention in ('sdpa', 'eager')
    }
    assert len(texts) == 1


def big_llama():
    config = LlamaConfig(
        vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=6, num_attention_heads=4
    )
    with torch.device('meta'):
        return LlamaForCausalLM(config)


def test_layers_are_spread_over_two_gpus():
    llm = big_llama()
    total = sum(parameter.numel() * 4 for parameter in llm.parameters())
    placement = place(llm, torch.device('cuda:0'), torch.float32, {0: total, 1: total})
    used = {placement.device_of(name) for name, _ in llm.named_parameters()}
    assert used == {torch.device('cuda:0'), torch.device('cuda:1')}
    for layer in range(6):
        assert len({placement.device_of(f'model.layers.{layer}.{part}.weight') for part in ('mlp', 'self_attn')}) == 1


@pytest.mark.parametrize('quantization', [None, 'int4'])
def test_activations_follow_the_layers(quantization, monkeypatch):
    """Two names of the CPU stand for two GPUs: the hooks and the cache work, and nothing changes in the numbers."""
    monkeypatch.setattr('accelerate.hooks.set_module_tensor_to_device', lambda *_, **__: None)  # they are there already
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4
    )
    llm = LlamaForCausalLM(config).eval().requires_grad_(requires_grad=False)
    quantize_linears(llm, quantization)
    settings = DecodeSettings(max_new_tokens=12)

    def text(prompts):
        prompt = Prompt(llm.get_input_embeddings()(torch.arange(3, 20)[None]))
        return write(Session(llm.model, llm.lm_head, prompt, prompts), (2,), settings)

    alone = text(None)
    first, second = torch.device('cpu'), torch.device('cpu', 0)
    halves = {f'model.layers.{index}': first if index < 2 else second for index in range(4)}
    layers = {'model.embed_tokens': first, 'model.rotary_emb': first, **halves, 'model.norm': second, 'lm_head': second}
    Placement(first, layers).connect(llm)
    assert sum(hasattr(layer, '_hf_hook') for layer in llm.model.layers) == 4
    prompts = PromptCache()
    for _ in range(2):
        spread = text(prompts)
        assert spread.ids == alone.ids
        np.testing.assert_allclose(spread.probabilities, alone.probabilities, atol=1e-6)
    assert prompts.reused_rows == 16


def test_a_model_that_fits_nowhere_is_refused():
    with pytest.raises(AffordanceError, match='does not fit on 2 GPUs') as caught:
        place(big_llama(), torch.device('cuda:0'), torch.float32, {0: 20000, 1: 20000})
    assert caught.value.code == Code.OOM


def test_one_device_takes_all():
    placement = place(big_llama(), torch.device('cpu'), torch.float32, {0: 10**9})
    assert placement == Placement(torch.device('cpu'))
    assert placement.device_of('model.layers.0.mlp.weight') == torch.device('cpu')
    assert main_device('auto').type == ('cuda' if torch.cuda.is_available() else 'cpu')


_MEASURE = """
import resource, sys, torch
from pathlib import Path
from affordance_ros.models.parts.checkpoint import StrictLoader, read_tensors
with torch.device('meta'):
    module = torch.nn.ModuleList([torch.nn.Linear(2048, 2048, bias=False) for _ in range(12)])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
loader = StrictLoader(module, torch.device('cpu'), torch.float16)
for key, tensor in read_tensors([Path(sys.argv[1])]):
    loader.put(key, key, tensor)
loader.finish('it')
assert all(torch.equal(part.weight, torch.full_like(part.weight, float(i))) for i, part in enumerate(module))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.parametrize('suffix', ['safetensors', 'bin'])
def test_loading_holds_no_weight_twice(tmp_path, suffix):
    from safetensors.torch import save_file

    tensors = {f'{index}.weight': torch.full((2048, 2048), float(index)).half() for index in range(12)}
    file = tmp_path / f'model.{suffix}'
    save_file(tensors, file) if suffix == 'safetensors' else torch.save(tensors, file)
    run = subprocess.run([sys.executable, '-c', _MEASURE, str(file)], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 1.3 * file.stat().st_size


def test_a_checkpoint_of_another_model_is_named():
    with pytest.raises(AffordanceError, match='looks like a plain LLaMA'):
        load_model('robopoint', PARITY / 'vicuna-tiny-v1.5', clip=str(PARITY / 'clip-vit-tiny-patch14'))
