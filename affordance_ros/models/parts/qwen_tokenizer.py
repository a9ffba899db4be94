# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The byte-level tokenizer of the Qwen2 family, and its ChatML prompt."""

from collections.abc import Sequence
from pathlib import Path

from transformers import Qwen2Tokenizer

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.tokenizer import IMAGE_ID, IMAGE_TOKEN

END_OF_TURN, END_OF_TEXT = '<|im_end|>', '<|endoftext|>'


class QwenTokenizer:
    """Text to ids and back. Special tokens in a text become their ids."""

    def __init__(self, folder: Path) -> None:
        if not any((folder / name).is_file() for name in ('tokenizer.json', 'vocab.json')):
            raise AffordanceError(
                Code.MISSING_WEIGHTS,
                f'{folder} has neither tokenizer.json nor vocab.json; they belong to the checkpoint',
            )
        self.fast = Qwen2Tokenizer.from_pretrained(str(folder))
        vocabulary = self.fast.get_vocab()
        absent = [token for token in (END_OF_TURN, END_OF_TEXT) if token not in vocabulary]
        if absent:
            raise AffordanceError(Code.BAD_CHECKPOINT, f'the tokenizer in {folder} has no {" and no ".join(absent)}')
        self.eos_ids = (int(vocabulary[END_OF_TURN]), int(vocabulary[END_OF_TEXT]))

    def __len__(self) -> int:
        return len(self.fast)

    def encode(self, text: str) -> list[int]:
        """Return the ids of one text."""
        return [int(token) for token in self.fast.encode(text, add_special_tokens=False)]

    def encode_prompt(self, prompt: str) -> list[int]:
        """Return the ids of a prompt; each '<image>' becomes IMAGE_ID, the text between is encoded chunk by chunk."""
        first, *others = prompt.split(IMAGE_TOKEN)
        ids = self.encode(first)
        for chunk in others:
            ids += [IMAGE_ID, *self.encode(chunk)]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids` without special tokens."""
        return str(self.fast.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def chatml(question: str, system: str = 'You are a helpful assistant.') -> str:
    """Return the prompt of one question, up to where the assistant writes."""
    return (
        f'<|im_start|>system\n{system}{END_OF_TURN}\n<|im_start|>user\n{question}{END_OF_TURN}\n<|im_start|>assistant\n'
    )
