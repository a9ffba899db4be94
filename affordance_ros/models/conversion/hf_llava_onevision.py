# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboInter written for transformers' LlavaOnevisionForConditionalGeneration, which vLLM and other servers load too.

The vocabulary is cut to the tokenizer's, as the official code does, and gains rows for `<image>` and `<video>`. The
repetition penalty of the release is written into generation_config.json; note that `generate` from ids counts the
prompt's tokens as written, which the official code does not.
"""

import json
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
)

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.conversion import ConvertRequest
from affordance_ros.models.conversion.rows import add_mean_rows
from affordance_ros.models.parts.checkpoint import read_json
from affordance_ros.models.parts.device import torch_dtype
from affordance_ros.models.parts.llava_onevision import OneVisionNetwork, OneVisionSource
from affordance_ros.models.parts.qwen_tokenizer import QwenTokenizer
from affordance_ros.models.parts.tokenizer import IMAGE_TOKEN

VIDEO_TOKEN = '<video>'
CHAT_TEMPLATE = (
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}"
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for item in message['content'] if item['type'] == 'image' %}{{ '<image>\n' }}{% endfor %}"
    "{% for item in message['content'] if item['type'] == 'text' %}{{ item['text'] }}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}"
    "{{ '<|im_start|>assistant\n' if add_generation_prompt else '' }}"
)


def convert(request: ConvertRequest) -> None:
    """Write the folder. Raises BAD_CHECKPOINT for a projector that the layout cannot hold, and what loading raises."""
    tokenizer = QwenTokenizer(request.checkpoint)
    source = OneVisionSource(
        request.checkpoint, len(tokenizer), request.siglip, dtype=torch_dtype(request.dtype)
    )  # fmt: skip
    network = OneVisionNetwork(source)
    request.prepare()
    tokenizer.fast.add_special_tokens(
        {'additional_special_tokens': [IMAGE_TOKEN, VIDEO_TOKEN]}, replace_extra_special_tokens=False
    )
    tokenizer.fast.chat_template = CHAT_TEMPLATE
    model = _assemble(network, tokenizer)
    model.generation_config = _generation(request, tokenizer)
    model.save_pretrained(str(request.out))
    tokenizer.fast.save_pretrained(str(request.out))
    _write_processor(request, network)


def _assemble(network: OneVisionNetwork, tokenizer: QwenTokenizer) -> LlavaOnevisionForConditionalGeneration:
    """Return transformers' model with the weights of ours, without a second copy of them."""
    if network.config.get('mm_projector_type') != 'mlp2x_gelu':
        raise AffordanceError(Code.BAD_CHECKPOINT, 'only a projector mlp2x_gelu has a place in this layout')
    ids = tokenizer.fast.get_vocab()
    config = LlavaOnevisionConfig(
        vision_config=network.vision.config.to_dict(), text_config=network.llm.config.to_dict(),
        image_token_index=ids[IMAGE_TOKEN], video_token_index=ids[VIDEO_TOKEN], projector_hidden_act='gelu',
        vision_feature_layer=-1, vision_feature_select_strategy='full', multimodal_projector_bias=True,
        vision_aspect_ratio=f'anyres_max_{network.anyres.most_tiles}',
        image_grid_pinpoints=[[height, width] for width, height in network.anyres.canvases],
        tie_word_embeddings=bool(network.llm.config.tie_word_embeddings),
    )  # fmt: skip
    with torch.device('meta'):
        model = LlavaOnevisionForConditionalGeneration(config)
    inner: Any = model.model
    layers: Any = network.projector
    inner.language_model, inner.vision_tower = network.llm.model, network.vision
    inner.multi_modal_projector.linear_1, inner.multi_modal_projector.linear_2 = layers[0], layers[2]
    inner.image_newline = torch.nn.Parameter(network.newline, requires_grad=False)
    model.lm_head = network.llm.lm_head
    add_mean_rows(model, len(tokenizer))
    return model


def _generation(request: ConvertRequest, tokenizer: QwenTokenizer) -> GenerationConfig:
    file = request.checkpoint / 'generation_config.json'
    penalty = float(read_json(file).get('repetition_penalty', 1.0)) if file.is_file() else 1.0
    return GenerationConfig(
        eos_token_id=list(tokenizer.eos_ids), pad_token_id=tokenizer.eos_ids[1], repetition_penalty=penalty
    )


def _write_processor(request: ConvertRequest, network: OneVisionNetwork) -> None:
    side = network.anyres.tile
    image = {
        'image_processor_type': 'LlavaOnevisionImageProcessor', 'processor_class': 'LlavaOnevisionProcessor',
        'do_resize': True, 'size': {'height': side, 'width': side}, 'resample': 3, 'do_rescale': True,
        'rescale_factor': 1 / 255, 'do_normalize': True, 'image_mean': [0.5] * 3, 'image_std': [0.5] * 3,
        'do_convert_rgb': True, 'do_pad': True,
        'image_grid_pinpoints': [[height, width] for width, height in network.anyres.canvases],
    }  # fmt: skip
    whole = {
        'processor_class': 'LlavaOnevisionProcessor', 'num_image_tokens': network.anyres.patches**2,
        'vision_feature_select_strategy': 'full', 'image_token': IMAGE_TOKEN, 'video_token': VIDEO_TOKEN,
        'vision_aspect_ratio': f'anyres_max_{network.anyres.most_tiles}',
    }  # fmt: skip
    for name, content in (('preprocessor_config.json', image), ('processor_config.json', whole)):
        (request.out / name).write_text(json.dumps(content, indent=2) + '\n')
