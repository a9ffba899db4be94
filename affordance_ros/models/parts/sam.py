# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SAM (the first one) as a part: built from the shapes of a checkpoint, filled strictly under the original key names.

Alone, from a public file of any ViT size:

    sam = load_sam(Path('sam_vit_h_4b8939.pth'), torch.device('cuda'), torch.bfloat16)
    scaled = prepare(rgb, sam.geometry.image_size)                # numpy: pixels, resized and original size
    embedding = sam.encode(scaled.pixels)                         # (1, C, grid, grid): once per image
    sparse = sam.prompt_encoder.boxes(scaled.boxes(boxes), size)  # or .points(...), or any (n, k, C) of your own
    low, iou = sam.decode(embedding, sparse)                      # logits (n, 3, 4 grid, 4 grid) and their scores
    logits = upscale(low, scaled)                                 # float32 (n, 3, H, W); above 0 is inside

Inside another checkpoint (GLOVER): `SamGeometry.from_shapes`, `Sam(geometry)` or `SamHead(geometry)` (no image encoder)
on the meta device, a `StrictLoader` for each, the names in the file after the prefix. We use modules of our own and not
transformers' SamModel: the official keys fit as they are and prompts may be embeddings of a language model. The two-way
blocks keep torch's layer norm eps 1e-5, everything else has 1e-6, as the public weights were trained.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.checkpoint import StrictLoader, read_tensors
from affordance_ros.models.parts.sam_geometry import SamGeometry
from affordance_ros.models.parts.sam_image_encoder import SamImageEncoder
from affordance_ros.models.parts.sam_mask_decoder import SamMaskDecoder, SamPromptEncoder

__all__ = ['Sam', 'SamGeometry', 'SamHead', 'ScaledImage', 'load_sam', 'prepare', 'upscale']

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScaledImage:
    """pixels: float32 (3, S, S), normalised, zeros at the right and bottom. resized, original: (height, width)."""

    pixels: npt.NDArray[np.float32]
    resized: tuple[int, int]
    original: tuple[int, int]

    @property
    def scale(self) -> FloatArray:
        """(x, y): pixels of the scaled image per pixel of the original one."""
        return np.array([self.resized[1] / self.original[1], self.resized[0] / self.original[0]])

    def points(self, points: FloatArray) -> torch.Tensor:
        """Return (..., 2) original pixels as pixels of the scaled image."""
        return torch.from_numpy(np.asarray(points * self.scale, np.float32))

    def boxes(self, boxes: FloatArray) -> torch.Tensor:
        """Return (n, 4) original xyxy boxes in pixels of the scaled image."""
        return self.points(np.asarray(boxes).reshape(-1, 2, 2)).reshape(-1, 4)


def prepare(rgb: npt.NDArray[np.uint8], size: int) -> ScaledImage:
    """Scale uint8 (H, W, 3) so that its longer side is `size`, normalise and pad to a square."""
    height, width = rgb.shape[:2]
    scale = size / max(height, width)
    new = max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
    resized = resize_rgb(rgb, new)
    values = (resized.astype(np.float32) - np.array(PIXEL_MEAN, np.float32)) / np.array(PIXEL_STD, np.float32)
    pixels = np.zeros((3, size, size), np.float32)
    pixels[:, : new[0], : new[1]] = values.transpose(2, 0, 1)
    return ScaledImage(pixels, new, (height, width))


def resize_rgb(rgb: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return uint8 (height, width, 3) resized with PIL's bilinear filter, as the official transform does."""
    image = Image.fromarray(np.ascontiguousarray(rgb))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


@torch.inference_mode()
def upscale(logits: torch.Tensor, scaled: ScaledImage) -> torch.Tensor:
    """Return float32 (n, m, H, W) at the original size for low-resolution logits (n, m, h, w).

    Two bilinear steps over the network's square, as official: one step gives visibly other values.
    """
    size = scaled.pixels.shape[-1]
    if logits.shape[0] == 0:
        return torch.zeros(*logits.shape[:2], *scaled.original, device=logits.device)
    square = functional.interpolate(logits.float(), (size, size), mode='bilinear', align_corners=False)
    cropped = square[..., : scaled.resized[0], : scaled.resized[1]]
    return functional.interpolate(cropped, scaled.original, mode='bilinear', align_corners=False)


class SamHead(nn.Module):
    """Prompt encoder and mask decoder, for image embeddings that come from elsewhere."""

    def __init__(self, geometry: SamGeometry) -> None:
        super().__init__()
        self.geometry = geometry
        self.prompt_encoder = SamPromptEncoder(geometry)
        self.mask_decoder = SamMaskDecoder(geometry)

    @torch.inference_mode()
    def decode(
        self,
        embedding: torch.Tensor,
        sparse: torch.Tensor,
        dense: torch.Tensor | None = None,
        *,
        multimask: bool = True,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (logits (n, m, 4 grid, 4 grid), iou (n, m)): m = 3 alternatives, or 1 where multimask is False.

        embedding: (1, C, grid, grid). sparse: (n, k, C), k may be 0. dense: (n, C, grid, grid), None: no mask is given.
        """
        grid = embedding.shape[-1]
        if dense is None:
            dense = self.prompt_encoder.no_mask(len(sparse), grid)
        masks, iou = self.mask_decoder(embedding, self.prompt_encoder.grid_positions(grid), sparse, dense)
        chosen = slice(1, None) if multimask else slice(0, 1)
        return masks[:, chosen], iou[:, chosen]


class Sam(SamHead):
    """The whole network."""

    def __init__(self, geometry: SamGeometry) -> None:
        super().__init__(geometry)
        if not geometry.windows:
            raise AffordanceError(Code.BAD_CHECKPOINT, 'this SAM checkpoint holds no image encoder (image_encoder.*)')
        self.image_encoder = SamImageEncoder(geometry)

    @torch.inference_mode()
    def encode(self, pixels: npt.NDArray[np.float32]) -> torch.Tensor:
        """Return the embedding (1, C, grid, grid) of the pixels (3, S, S) of `prepare`."""
        weight = self.image_encoder.patch_embed.proj.weight
        embedding: torch.Tensor = self.image_encoder(torch.from_numpy(pixels)[None].to(weight.device, weight.dtype))
        return embedding


def load_sam(file: Path, device: torch.device, dtype: torch.dtype) -> Sam:
    """Load a public SAM file (`sam_vit_b_01ec64.pth`, ..., or the same tensors as safetensors).

    Raises:
        AffordanceError: MISSING_WEIGHTS when there is no such file, BAD_CHECKPOINT when its keys do not fit.
    """
    if not file.is_file():
        raise AffordanceError(
            Code.MISSING_WEIGHTS, f'{file} is not there; get one of sam_vit_{{b,l,h}}_*.pth from segment-anything'
        )
    shapes = {key: tuple(tensor.shape) for key, tensor in read_tensors([file])}
    with torch.device('meta'):
        sam = Sam(SamGeometry.from_shapes(shapes, source=str(file)))
    loader = StrictLoader(sam, device, dtype)
    for key, tensor in read_tensors([file]):
        loader.put(key, key, tensor)
    loader.finish(str(file))
    return sam.eval()
