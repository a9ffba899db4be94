# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which release a checkpoint folder looks like, for the sentence of a loader that refuses it."""

import json
from pathlib import Path
from typing import Any

# 'architectures' of config.json -> (what people call it, the model that loads it here or '').
ARCHITECTURES = {
    'GloverForCausalLM': ('GLOVER or GLOVER++', 'glover or glover_plus'),
    'HandsOnVLMForCausalLM': ('HandsOnVLM', 'handsonvlm'),
    'LlavaQwenForCausalLM': ('RoboInter in the original LLaVA-OneVision layout', 'robointer'),
    'LlavaLlamaForCausalLM': ('RoboPoint or LLaVA 1.5', 'robopoint'),
    'Qwen2_5_VLForConditionalGeneration': ('Qwen2.5-VL', 'affordance_r1, robointer_qwen or qwen_vl'),
    'Qwen3VLForConditionalGeneration': ('Qwen3-VL', 'qwen_vl'),
    'Qwen3VLMoeForConditionalGeneration': ('Qwen3-VL with experts', 'qwen_vl'),
    'LlavaForConditionalGeneration': ('LLaVA in the layout of transformers; the official release is needed', ''),
    'LlavaOnevisionForConditionalGeneration': (
        'LLaVA-OneVision in the layout of transformers; the official release is needed',
        '',
    ),
    'LlamaForCausalLM': ('a plain LLaMA, such as the base under a LoRA', ''),
    'CLIPModel': ('CLIP', ''),
    'SiglipModel': ('SigLIP', ''),
    'SamModel': ('SAM', ''),
    'Sam2Model': ('SAM 2', ''),
}
LORA = 'an unmerged LoRA; robopoint loads it with base= the folder of its base model'


def looks_like(folder: Path) -> str:
    """Return '; <folder> looks like ...' with the model that loads it, or '' when it looks like nothing known."""
    if (folder / 'adapter_config.json').is_file():
        return f'; {folder} looks like {LORA}'
    for name in _config(folder).get('architectures') or ():
        if name in ARCHITECTURES:
            title, model = ARCHITECTURES[name]
            return f'; {folder} looks like {title}' + (f', which is loaded as {model}' if model else '')
    return ''


def _config(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / 'config.json').read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
