# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboPoint written for transformers' LlavaForConditionalGeneration, which vLLM and other servers load as well.

What changes: the vision tower becomes part of the checkpoint, the embeddings gain rows for `<image>` and `<pad>`, and
a projector of one layer becomes two, the second one the identity, without an activation between them.
"""

import json
from typing import Any

import torch
from transformers import GenerationConfig, LlavaConfig, LlavaForConditionalGeneration

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.conversion import ConvertRequest
from affordance_ros.models.conversion.fast_tokenizer import fast_tokenizer
from affordance_ros.models.conversion.rows import add_mean_rows
from affordance_ros.models.parts.clip_image import ClipPreprocessor
from affordance_ros.models.parts.device import torch_dtype
from affordance_ros.models.parts.llava import LlavaNetwork
from affordance_ros.models.parts.llava_loading import LlavaSource
from affordance_ros.models.parts.tokenizer import IMAGE_TOKEN

PAD_TOKEN = '<pad>'
CHAT_TEMPLATE = (
    "{{ 'A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user\\'s questions.' }}"
    "{% for message in messages %}{{ ' ' }}"
    "{{ 'USER: ' if message['role'] == 'user' else 'ASSISTANT: ' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for item in message['content'] if item['type'] == 'image' %}{{ '<image>\n' }}{% endfor %}"
    "{% for item in message['content'] if item['type'] == 'text' %}{{ item['text'] }}{% endfor %}{% endif %}"
    "{{ '</s>' if message['role'] != 'user' else '' }}{% endfor %}"
    "{{ ' ASSISTANT:' if add_generation_prompt else '' }}"
)


def convert(request: ConvertRequest) -> None:
    """Write the folder. Raises BAD_CHECKPOINT for a projector that the layout cannot hold, and what loading raises."""
    source = LlavaSource(request.checkpoint, request.clip, request.base, dtype=torch_dtype(request.dtype)).with_base()
    network = LlavaNetwork(source)
    request.prepare()
    tokenizer = fast_tokenizer(source.base or source.checkpoint, (IMAGE_TOKEN, PAD_TOKEN))
    tokenizer.chat_template = CHAT_TEMPLATE
    image_id = tokenizer.get_vocab()[IMAGE_TOKEN]
    model = _assemble(network, image_id, len(tokenizer))
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(str(request.out))
    tokenizer.save_pretrained(str(request.out))
    _write_json(request, 'preprocessor_config.json', _image_processor(network))
    _write_json(request, 'processor_config.json', {
        'processor_class': 'LlavaProcessor', 'patch_size': network.vision.config.patch_size, 'image_token': IMAGE_TOKEN,
        'vision_feature_select_strategy': 'default', 'num_additional_image_tokens': 1,
    })  # fmt: skip


def _assemble(network: LlavaNetwork, image_id: int, tokens: int) -> LlavaForConditionalGeneration:
    """Return transformers' model with the weights of ours, without a second copy of them."""
    kind = network.config.get('mm_projector_type', 'linear')
    if kind not in ('linear', 'mlp2x_gelu'):
        raise AffordanceError(Code.BAD_CHECKPOINT, f'a projector {kind!r} has no place in this layout')
    config = LlavaConfig(
        vision_config=network.vision.config.to_dict(), text_config=network.llm.config.to_dict(),
        image_token_index=image_id, projector_hidden_act='gelu' if kind == 'mlp2x_gelu' else 'linear',
        vision_feature_layer=network.config.get('mm_vision_select_layer', -2),
        image_seq_length=(network.vision.config.image_size // network.vision.config.patch_size) ** 2,
    )  # fmt: skip
    with torch.device('meta'):
        model = LlavaForConditionalGeneration(config)
    inner: Any = model.model
    inner.language_model = network.llm.model
    inner.vision_tower = network.vision.to(network.dtype)
    _fill_projector(inner.multi_modal_projector, network)
    model.lm_head = network.llm.lm_head
    add_mean_rows(model, tokens)
    return model


def _fill_projector(target: Any, network: LlavaNetwork) -> None:
    layers: Any = network.projector
    if isinstance(layers, torch.nn.Sequential):
        target.linear_1, target.linear_2 = layers[0], layers[2]
        return
    size = layers.out_features
    target.linear_1, target.linear_2 = layers, torch.nn.Linear(size, size, dtype=network.dtype)
    torch.nn.init.eye_(target.linear_2.weight)
    torch.nn.init.zeros_(target.linear_2.bias)


def _image_processor(network: LlavaNetwork) -> dict[str, Any]:
    prepare: ClipPreprocessor = network.preprocessor
    size = prepare.resize
    return {
        'image_processor_type': 'LlavaImageProcessor',
        'processor_class': 'LlavaProcessor',
        'do_pad': network.config.get('image_aspect_ratio') == 'pad',
        'do_resize': size is not None,
        'size': {'shortest_edge': size}
        if isinstance(size, int)
        else dict(zip(('height', 'width'), size or (), strict=False)),
        'do_center_crop': prepare.crop is not None,
        'crop_size': dict(zip(('height', 'width'), prepare.crop or (), strict=False)),
        'do_rescale': True,
        'rescale_factor': prepare.scale,
        'do_normalize': True,
        'image_mean': list(prepare.mean),
        'image_std': list(prepare.std),
        'resample': prepare.resample,
        'do_convert_rgb': True,
    }


def _write_json(request: ConvertRequest, name: str, content: dict[str, Any]) -> None:
    (request.out / name).write_text(json.dumps(content, indent=2) + '\n')
