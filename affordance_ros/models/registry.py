# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which models exist, by name. A model is imported when it is loaded: a listing needs neither torch nor weights."""

import dataclasses
import difflib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import AffordanceModel
from affordance_ros.models.parts.release_layouts import looks_like
from affordance_ros.models.refine import REFINEMENTS, RefineOptions, load_segmenter, refined

POCKET_FOLDER = Path(__file__).resolve().parent / 'pocket'


@dataclass(frozen=True)
class ModelEntry:
    """One line of the list: `target` is 'module:Class', `outputs` the fields of an answer that it fills.

    clip: whether the model looks at the last seconds of a camera and not only at the newest image. many: whether it
    can be asked about several images of no clip.
    """

    name: str
    target: str
    summary: str
    outputs: frozenset[str]
    get_checkpoint: str
    clip: bool = False
    many: bool = False

    @property
    def several(self) -> bool:
        """Whether more than one image can be given."""
        return self.clip or self.many

    @property
    def pocket(self) -> Path | None:
        """Folder of the pocket checkpoint in this package, or None when there is none."""
        folder = POCKET_FOLDER / self.name
        return folder if (folder / 'config.json').is_file() else None


_ENTRIES = (
    ModelEntry(
        name='robopoint',
        target='affordance_ros.models.robopoint:RoboPoint',
        summary='keypoints for an instruction: where to grasp, place or go (RoboPoint, 7B and 13B)',
        outputs=frozenset({'keypoints', 'boxes', 'text'}),
        get_checkpoint='Hugging Face: wentao-yuan/robopoint-v1-vicuna-v1.5-13b and more (docs/models/robopoint.md)',
    ),
    ModelEntry(
        name='handsonvlm',
        target='affordance_ros.models.handsonvlm:HandsOnVLM',
        summary='paths of the right and left hand in the next second, from a clip (HandsOnVLM, 7B and 13B)',
        outputs=frozenset({'hands', 'text'}),
        get_checkpoint='Hugging Face: Kami-code/handsonvlm-7b or handsonvlm-13b (docs/models/handsonvlm.md)',
        clip=True,
    ),
    ModelEntry(
        name='glover',
        target='affordance_ros.models.glover:Glover',
        summary='heatmap of where to touch OBJECT to ACTION it (GLOVER, 7B)',
        outputs=frozenset({'heatmap', 'keypoints', 'boxes', 'text'}),
        get_checkpoint='output of merge_weights.py of TeleeMa/GLOVER (docs/models/glover.md)',
    ),
    ModelEntry(
        name='glover_plus',
        target='affordance_ros.models.glover:GloverPlus',
        summary='heatmap of where to touch OBJECT to ACTION it, in two steps from object to part (GLOVER++, 7B)',
        outputs=frozenset({'heatmap', 'keypoints', 'boxes', 'text'}),
        get_checkpoint='Hugging Face: JiaaZ/GLOVER_plus (docs/models/glover.md)',
    ),
    ModelEntry(
        name='robointer',
        target='affordance_ros.models.robointer:RoboInter',
        summary='boxes, contact points, traces, choices and plans for manipulation (RoboInter-VLM, LLaVA-OneVision 7B)',
        outputs=frozenset({'boxes', 'keypoints', 'traces', 'text'}),
        get_checkpoint='Hugging Face: InternRobotics/RoboInter-VLM_llavaov_7B (docs/models/robointer.md)',
        many=True,
    ),
    ModelEntry(
        name='affordance_r1',
        target='affordance_ros.models.affordance_r1:AffordanceR1',
        summary='reasoning, then boxes, points, what to do there, and masks with SAM 2 (Affordance-R1, 7B)',
        outputs=frozenset({'boxes', 'keypoints', 'masks', 'text'}),
        get_checkpoint='Hugging Face: hqking/affordance-r1, and sam2= for masks (docs/models/affordance_r1.md)',
    ),
    ModelEntry(
        name='robointer_qwen',
        target='affordance_ros.models.robointer_qwen:RoboInterQwen',
        summary='boxes, contact points, traces, choices and plans for manipulation (RoboInter-VLM, Qwen2.5-VL)',
        outputs=frozenset({'boxes', 'keypoints', 'traces', 'text'}),
        get_checkpoint='Hugging Face: InternRobotics/RoboInter-VLM or RoboInter-VLM_qwenvl25_3b '
        '(docs/models/robointer_qwen.md)',
        many=True,
    ),
    ModelEntry(
        name='qwen_vl',
        target='affordance_ros.models.qwen_vl:QwenVL',
        summary='points, boxes, traces and text of any Qwen2.5-VL or Qwen3-VL checkpoint, in its answer dialect',
        outputs=frozenset({'keypoints', 'boxes', 'traces', 'text'}),
        get_checkpoint='Hugging Face: Qwen/Qwen3-VL-4B-Instruct, IffYuan/Embodied-R1-3B-v1, BAAI/RoboBrain2.0-7B and '
        'more (docs/models/qwen_vl.md)',
    ),
    ModelEntry(
        name='fake',
        target='affordance_ros.models.fake:Fake',
        summary="no weights: points at the image centre or at the pixel named by 'at U,V'; for tests and bring-up",
        outputs=frozenset({'keypoints', 'text'}),
        get_checkpoint='needs none',
    ),
)
MODELS: dict[str, ModelEntry] = {entry.name: entry for entry in _ENTRIES}


def list_models() -> tuple[ModelEntry, ...]:
    """Return every registered model, in the order of the documentation."""
    return tuple(MODELS.values())


def load_model(
    name: str, checkpoint: str | Path | None = None, device: str = 'cpu', dtype: str = 'float32', **options: Any
) -> AffordanceModel:
    """Load a model.

    Args:
        name: one of `list_models()`.
        checkpoint: folder of the checkpoint, or 'pocket' for the small one in this package.
        device: 'cpu', 'cuda', 'cuda:1', ...
        dtype: 'float32', 'float16' or 'bfloat16'.
        options: further fields of the model's configuration, such as `clip=` and `base=` of robopoint, and those of
            `RefineOptions`: refine='sam2' with sam2= gives every answer masks.

    Raises:
        AffordanceError: with the code UNKNOWN_MODEL, BAD_INPUT, MISSING_WEIGHTS or BAD_CHECKPOINT.
    """
    entry = _entry(name)
    module_name, class_name = entry.target.split(':')
    model_class = getattr(importlib.import_module(module_name), class_name)
    known = [field.name for field in dataclasses.fields(model_class.Config)]
    of_refine = [field.name for field in dataclasses.fields(RefineOptions)] if options.get('refine') else ['refine']
    for option in options:
        if option not in (*known, *of_refine):
            hint = f'; it needs refine={option!r}' if option in REFINEMENTS else _suggest(option, known)
            raise AffordanceError(Code.BAD_INPUT, f'{name} has no option {option!r}{hint}')
    refine = RefineOptions(**{option: value for option, value in options.items() if option in of_refine})
    refine.check(name, entry.outputs)
    makes_masks = 'masks' in entry.outputs and refine.refine in known  # with that very option
    segmenter = None if makes_masks else load_segmenter(refine, device)
    own = {option: value for option, value in options.items() if option in known}
    config = model_class.Config(checkpoint=_checkpoint_path(entry, checkpoint), device=device, dtype=dtype, **own)
    try:
        model = cast(AffordanceModel, model_class(config))
    except AffordanceError as error:
        raise _with_layout(error, name, config.checkpoint) from error
    return model if segmenter is None else refined(model, segmenter)


def _with_layout(error: AffordanceError, name: str, checkpoint: str | None) -> AffordanceError:
    """Say what the checkpoint looks like when it is one of another model."""
    if error.code not in (Code.BAD_CHECKPOINT, Code.MISSING_WEIGHTS) or not checkpoint:
        return error
    seen = looks_like(Path(checkpoint))
    return (
        error
        if not seen or name in seen.rpartition(' looks like ')[2]
        else AffordanceError(error.code, str(error) + seen)
    )


def _entry(name: str) -> ModelEntry:
    if name not in MODELS:
        raise AffordanceError(Code.UNKNOWN_MODEL, f'there is no model {name!r}{_suggest(name, list(MODELS))}')
    return MODELS[name]


def _suggest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f'; did you mean {near[0]!r}?' if near else f'; known: {", ".join(known)}'


def _checkpoint_path(entry: ModelEntry, checkpoint: str | Path | None) -> str | None:
    if checkpoint is None or str(checkpoint) != 'pocket':
        return None if checkpoint is None or not str(checkpoint) else str(checkpoint)
    if entry.pocket is None:
        if entry.name == 'fake':
            return None
        raise AffordanceError(
            Code.MISSING_WEIGHTS, f'{entry.name} has no pocket checkpoint; get one: {entry.get_checkpoint}'
        )
    return str(entry.pocket)
