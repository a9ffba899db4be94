# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Longer vocabularies for converted checkpoints."""

from typing import Any

import torch

MULTIPLE = 64


def add_mean_rows(model: Any, tokens: int) -> None:
    """Lengthen embedding and head to a multiple of 64 rows with mean rows, which a trained head never ranks first."""
    table, head = model.get_input_embeddings(), model.lm_head
    rows = -(-max(tokens, table.weight.shape[0]) // MULTIPLE) * MULTIPLE
    tied = head.weight is table.weight
    for module in (table,) if tied else (table, head):
        weight = module.weight.data
        more = weight.float().mean(0, keepdim=True).to(weight.dtype).expand(rows - weight.shape[0], -1)
        module.weight = torch.nn.Parameter(torch.cat([weight, more]), requires_grad=False)
    if tied:
        head.weight = table.weight
    table.num_embeddings = head.out_features = rows
    model.model.language_model.config.vocab_size = model.config.text_config.vocab_size = rows
