# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HandsOnVLM with weights and frames from a formula: numbers that the official code gave for them, to six digits.

A second witness beside the recorded set: another width, full float32 weights, and a clip that is no picture.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from tiny_robopoint import write_tokenizer  # noqa: E402
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM  # noqa: E402

from affordance_ros.models.handsonvlm_heads import TrajectoryHead, encode_positions, gaussian  # noqa: E402
from affordance_ros.models.handsonvlm_network import HandsNetwork  # noqa: E402
from affordance_ros.models.handsonvlm_video import frame_tokens, visual_tokens  # noqa: E402
from affordance_ros.models.handsonvlm_writing import HandSession  # noqa: E402
from affordance_ros.models.parts.llava_loading import LlavaSource  # noqa: E402

SIZE, HAND = 32, 32100
_LLAMA = {
    'vocab_size': 32101, 'hidden_size': SIZE, 'intermediate_size': 64, 'num_hidden_layers': 2,
    'num_attention_heads': 4, 'num_key_value_heads': 4, 'max_position_embeddings': 2048, 'rms_norm_eps': 1e-6,
    'tie_word_embeddings': False, 'hidden_act': 'silu',
}  # fmt: skip
_CLIP = {
    'hidden_size': 32, 'intermediate_size': 64, 'num_hidden_layers': 3, 'num_attention_heads': 4, 'image_size': 224,
    'patch_size': 14, 'hidden_act': 'quick_gelu', 'layer_norm_eps': 1e-5,
}  # fmt: skip
_NORMS = ('norm.weight', 'layernorm.weight', 'layrnorm.weight', 'layer_norm1.weight', 'layer_norm2.weight')
IDS = [1, 319, 13563, 1546, 29901, 29871, -200, 29871, 13, 11921, 881, 590, 1361, 4337, 29973, 2277, 29937, 7900, 22137,
       29901]  # fmt: skip
SCRIPT = [5, HAND, HAND, 7, HAND, HAND, 869, 2]
MOST_LIKELY = [
    [(-0.143084, -0.124086), (-0.133879, -0.114909), (-0.144920, -0.121399), (-0.133879, -0.114904)],
    [(-0.142690, -0.124339), (-0.133580, -0.114923), (-0.142037, -0.124325), (-0.133581, -0.114926)],
]
WITH_NOISE = [
    [(-0.109501, -0.118814), (-0.110937, -0.108301), (-0.139577, -0.105063), (-0.144821, -0.098663)],
    [(-0.143631, -0.112834), (-0.127358, -0.122373), (-0.108550, -0.118874), (-0.109586, -0.108885)],
]


def values(key: str, shape: torch.Size) -> torch.Tensor:
    """Return what the formula gives for the parameter of this name."""
    phase = 2 * np.pi * (zlib.crc32(key.encode()) % 1000) / 1000
    wave = np.sin(0.7390851 * np.arange(int(np.prod(shape))) + phase).reshape(tuple(shape))
    if key.endswith(_NORMS):
        wave = 1 + 0.05 * wave
    elif len(shape) >= 2:
        wave = (0.03 if 'cvae' in key else 0.1) * wave
    else:
        wave = 0.02 * wave
    return torch.from_numpy(wave.astype(np.float32))


@pytest.fixture(scope='module')
def network(tmp_path_factory) -> HandsNetwork:
    """Write the checkpoint in the official layout and load it."""
    folder: Path = tmp_path_factory.mktemp('formula')
    shapes = {key: value.shape for key, value in LlamaForCausalLM(LlamaConfig(**_LLAMA)).state_dict().items()}
    for key, value in CLIPVisionModel(CLIPVisionConfig(**_CLIP)).state_dict().items():
        bare = key.removeprefix('vision_model.')
        if not bare.endswith('position_ids'):
            shapes[f'model.vision_tower.vision_tower.vision_model.{bare}'] = value.shape
    for key, value in TrajectoryHead(SIZE, 'CVAE').state_dict().items():
        shapes[f'hand_traj_decoder.hand_traj_decoder.{key}'] = value.shape
    shapes |= {'model.mm_projector.weight': torch.Size((SIZE, 32)), 'model.mm_projector.bias': torch.Size((SIZE,))}
    torch.save({key: values(key, shape) for key, shape in shapes.items()}, folder / 'pytorch_model.bin')
    (folder / 'config.json').write_text(json.dumps({**_LLAMA, 'model_type': 'handsonvlm', 'mm_hidden_size': 32}))
    (folder / 'clip').mkdir()
    (folder / 'clip' / 'config.json').write_text(json.dumps(_CLIP))
    (folder / 'clip' / 'preprocessor_config.json').write_text('{}')
    write_tokenizer(folder)
    return HandsNetwork(LlavaSource(folder))


@pytest.fixture(scope='module')
def visual(network) -> torch.Tensor:
    """Return the visual tokens (356, D) of ten frames that are a formula of their pixels."""
    x, y = np.arange(224)[None, None], np.arange(224)[None, :, None]
    channel = np.arange(3)[:, None, None]
    frames = [np.sin(0.05 * x + 0.03 * y * (channel + 1) + 0.5 * index) for index in range(10)]
    with torch.inference_mode():
        pixels = torch.from_numpy(np.stack(frames).astype(np.float32))
        states = network.vision(pixel_values=pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
        return visual_tokens([frame_tokens(features) for features in network.projector(states)])


def test_visual_tokens(visual) -> None:
    wanted = {
        0: (-0.033823, 0.134615, 0.067327, -0.131835),
        99: (-0.032025, 0.140528, 0.066578, -0.137881),
        100: (-0.335042, -0.395571, 0.274532, 0.435093),
        355: (0.495182, -0.618962, -0.595305, 0.504241),
    }
    for row, numbers in wanted.items():
        np.testing.assert_allclose(visual[row, :4].numpy(), numbers, atol=2e-6)
    assert float(visual.double().sum()) == pytest.approx(33.954318, abs=2e-3)
    assert float(visual.double().abs().sum()) == pytest.approx(4902.0372, abs=2e-3)


def test_logits_of_the_prompt(network, visual) -> None:
    session = HandSession(network, network.embed(IDS, visual), gaussian(0.0))
    logits = session.logits
    assert len(session.new_hidden) == 375
    np.testing.assert_allclose(logits[:4].numpy(), (-0.581800, 0.518848, 0.673804, -0.399367), atol=2e-6)
    assert float(logits[22391]) == pytest.approx(float(logits.max()), abs=2e-6)  # the rows of the head nearly repeat
    assert float(logits[HAND]) == pytest.approx(0.745860, abs=2e-6)
    assert float(logits.abs().mean()) == pytest.approx(0.519727, abs=2e-6)


def wave(index: int, _: object) -> torch.Tensor:
    """Return twice the noise of the formula for a hand token."""
    return 2 * torch.sin(0.9 * torch.arange(512, dtype=torch.float64) + index).float().reshape(2, 256)


@pytest.mark.parametrize(('latent', 'wanted'), [(gaussian(0.0), MOST_LIKELY), (wave, WITH_NOISE)])
def test_positions_of_a_forced_answer(network, visual, latent, wanted) -> None:
    session = HandSession(network, network.embed(IDS, visual), latent)
    session.push(SCRIPT)
    np.testing.assert_allclose(session.positions.numpy(), wanted, atol=2e-6)


def test_encoding_of_positions() -> None:
    encoded = encode_positions(torch.tensor([[0.5, 0.25], [0.1, 0.9]]), 32)
    wanted = [0.479426, 0.099833, 0.049979, 0.010000, 0.005000, 0.001000, 0.000500, 0.000100,
              0.968912, 0.621610, 0.999688, 0.995953, 0.999997, 0.999960, 1, 1]  # fmt: skip
    np.testing.assert_allclose(encoded.numpy(), wanted * 2, atol=1e-6)
