# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pocket RoboPoint in training: the same modules that the port loads, and heads that only training needs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import rotate_half

from affordance_ros.datasets.scene_views import PAIRS
from affordance_ros.scenes.catalogue import COLORS
from affordance_ros.training.recipes import PocketRecipe, TowerSizes

CELLS = 4  # label cells along one side of a patch
BINS = 100  # of a voted coordinate
GUIDED = {1: 'region', 2: 'point', 3: 'point'}  # decoder layers whose first two heads are taught where to look
GUIDED_HEADS = 2


def tower_config(sizes: TowerSizes) -> CLIPVisionConfig:
    """Return the CLIP configuration of a pocket tower."""
    return CLIPVisionConfig(
        hidden_size=sizes.hidden,
        intermediate_size=4 * sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        image_size=sizes.image_px,
        patch_size=sizes.patch_px,
        hidden_act='gelu',
        projection_dim=sizes.hidden,
    )


def language_config(recipe: PocketRecipe, vocabulary: int) -> LlamaConfig:
    """Return the LLaMA configuration of a pocket model."""
    sizes = recipe.language
    return LlamaConfig(
        hidden_size=sizes.hidden,
        intermediate_size=sizes.mlp,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.heads,
        vocab_size=vocabulary,
        max_position_embeddings=1024,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        pad_token_id=0,
    )


class Perception(nn.Module):
    """The tower with dense heads: part and colour of every cell, each patch's vote for its part's canonical point."""

    def __init__(self, sizes: TowerSizes) -> None:
        super().__init__()
        self.tower = CLIPVisionModel(tower_config(sizes))
        self.parts = nn.Linear(sizes.hidden, CELLS**2 * (len(PAIRS) + 1))
        self.colors = nn.Linear(sizes.hidden, CELLS**2 * (len(COLORS) + 1))
        self.votes = nn.Linear(sizes.hidden, 2 * BINS)

    def features(self, pixels: Tensor) -> Tensor:
        """Return patch features (B, N, hidden): the last hidden state without class token (select layer -1)."""
        hidden: Tensor = self.tower(pixel_values=pixels).last_hidden_state
        return hidden[:, 1:]

    def losses(self, features: Tensor, cells: Tensor, colors: Tensor, votes: Tensor) -> dict[str, Tensor]:
        """Return the dense losses.

        cells, colors: (B, N, CELLS^2), 0 = table. votes: (B, N, 2) in [0, 1], NaN = no part.
        """
        batch, patches = cells.shape[:2]
        parts = self.parts(features).float().view(batch, patches, CELLS**2, -1)
        weight = torch.where(cells > 0, 1.0, 0.2)
        part_loss = functional.cross_entropy(parts.flatten(0, 2), cells.flatten(), reduction='none')
        tints = self.colors(features).float().view(batch, patches, CELLS**2, -1)
        color_loss = functional.cross_entropy(tints.flatten(0, 2), colors.flatten(), reduction='none')
        voted = ~votes[..., 0].isnan()
        logits = self.votes(features)[voted].float().view(-1, 2, BINS)
        centers = (torch.arange(BINS) + 0.5) / BINS
        target = torch.softmax(-0.5 * ((votes[voted][..., None] - centers) * BINS) ** 2, dim=-1)
        with torch.no_grad():
            foreground = cells > 0
            hits = (parts.argmax(-1) == cells)[foreground].float().mean()
        return {
            'parts': (part_loss * weight.flatten()).sum() / weight.sum(),
            'colors': (color_loss * weight.flatten()).sum() / weight.sum(),
            'votes': functional.cross_entropy(logits.flatten(0, 1), target.flatten(0, 1)),
            'hits': hits,
        }


class PocketNet(nn.Module):
    """Tower, projector and decoder of a RoboPoint with the losses of its answers."""

    def __init__(self, recipe: PocketRecipe, vocabulary: int) -> None:
        super().__init__()
        self.perception = Perception(recipe.tower)
        hidden = recipe.language.hidden
        self.projector = nn.Sequential(nn.Linear(recipe.tower.hidden, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.language = LlamaForCausalLM(language_config(recipe, vocabulary))
        nn.init.normal_(self.language.model.embed_tokens.weight, std=hidden**-0.5)
        self._guides: dict[int, tuple[Tensor, Tensor]] = {}
        for index in GUIDED:
            if index < len(self.language.model.layers):
                attention = self.language.model.layers[index].self_attn
                attention.register_forward_pre_hook(self._keep(index), with_kwargs=True)

    def _keep(self, index: int) -> Callable[[Any, tuple[Tensor, ...], dict[str, Any]], None]:
        def hook(module: Any, args: tuple[Tensor, ...], kwargs: dict[str, Any]) -> None:
            hidden = kwargs['hidden_states'] if 'hidden_states' in kwargs else args[0]
            width = GUIDED_HEADS * module.head_dim
            cosine, sine = kwargs['position_embeddings']
            rotated = []
            for projection in (module.q_proj, module.k_proj):
                heads = (
                    functional.linear(hidden, projection.weight[:width])
                    .unflatten(-1, (GUIDED_HEADS, -1))
                    .transpose(1, 2)
                )
                rotated.append(heads * cosine[:, None] + rotate_half(heads) * sine[:, None])
            self._guides[index] = (rotated[0], rotated[1])

        return hook

    def answer_losses(self, features: Tensor, batch: dict[str, Tensor], prefix: int) -> dict[str, Tensor]:
        """Return the losses of questions packed by `pocket_data.pack_turns`. features: (B, N, hidden of the tower)."""
        embeddings = self.language.model.embed_tokens(batch['ids'])
        image = self.projector(features)
        patches = image.shape[1]
        embeddings = torch.cat(
            (embeddings[:, :prefix], image.to(embeddings.dtype), embeddings[:, prefix + patches :]), dim=1
        )
        hidden = self.language.model(
            inputs_embeds=embeddings, attention_mask=batch['mask'], position_ids=batch['positions'], use_cache=False
        ).last_hidden_state
        kept = batch['labels'] >= 0
        logits = self.language.lm_head(hidden[kept]).float()
        labels, weights = batch['labels'][kept], batch['weights'][kept]
        loss = functional.cross_entropy(logits, labels, reduction='none')
        first = batch['weights'][kept] == 1
        with torch.no_grad():
            digits = (logits.argmax(-1) == labels)[first].float().mean()
        guide, looked = self._guide_loss(batch, prefix, patches)
        return {'answer': (loss * weights).sum() / weights.sum(), 'guide': guide, 'digits': digits, 'looked': looked}

    def _guide_loss(self, batch: dict[str, Tensor], prefix: int, patches: int) -> tuple[Tensor, Tensor]:
        """Teach some heads to attend, from the end of a question on, to the asked part and the patch of its point."""
        rows, columns = batch['guided'].unbind(-1)
        total, looked = torch.zeros(()), torch.zeros(())
        for index, (queries, keys) in self._guides.items():
            asked = queries[rows, :, columns]
            scores = (
                torch.einsum('ghd,ghnd->ghn', asked, keys[rows, :, : prefix + patches]).float()
                * asked.shape[-1] ** -0.5
            )
            log_share = torch.log_softmax(scores, dim=-1)[..., prefix:]
            target = batch['regions' if GUIDED[index] == 'region' else 'spots']
            total = total - torch.einsum('ghn,gn->gh', log_share, target).mean()
            if GUIDED[index] == 'point':
                looked = (log_share.mean(1).argmax(-1) == target.argmax(-1)).float().mean()
        self._guides.clear()
        return total / len(GUIDED), looked
