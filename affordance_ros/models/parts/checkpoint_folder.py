# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that `checkpoint=` names, or a sentence that says what to give."""

from pathlib import Path

from affordance_ros.errors import AffordanceError, Code


def checkpoint_folder(checkpoint: str | None, model: str, page: str = '', also_in: str = '') -> Path:
    """Return the folder with config.json.

    Args:
        checkpoint: as the user gave it.
        model: name of the model, for the sentence.
        page: its page below docs/models, the model's name when empty.
        also_in: name of a sub-folder in which config.json may lie as well.

    Raises:
        AffordanceError: MISSING_WEIGHTS when nothing is given or there is no config.json.
    """
    if checkpoint is None:
        sentence = f'{model} needs checkpoint=: the folder of a release (docs/models/{page or model}.md)'
        raise AffordanceError(Code.MISSING_WEIGHTS, sentence)
    folder = Path(checkpoint)
    for here in (folder, folder / also_in):
        if (here / 'config.json').is_file():
            return here
    where = f' nor in {folder / also_in}' if also_in else ''
    what = f'is no checkpoint folder: there is no config.json in it{where}' if folder.is_dir() else 'is no folder'
    sentence = f'{folder} {what}; docs/models/{page or model}.md tells how to get the checkpoint of {model}'
    raise AffordanceError(Code.MISSING_WEIGHTS, sentence)
