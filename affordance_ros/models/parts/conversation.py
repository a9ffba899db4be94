# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chat templates as data. A turn is (question, answer); the last answer may be None: the model writes it."""

from collections.abc import Sequence
from dataclasses import dataclass

Turn = tuple[str, str | None]


@dataclass(frozen=True)
class Template:
    """llama_2: the bracket form of LLaMA-2 chat; otherwise `USER: ... ASSISTANT: ...</s>`."""

    name: str
    system: str
    llama_2: bool = False

    def render(self, turns: Sequence[Turn]) -> str:
        """Return the prompt for a conversation."""
        return self._render_llama_2(turns) if self.llama_2 else self._render_roles(turns)

    def _render_roles(self, turns: Sequence[Turn]) -> str:
        text = self.system + ' '
        for question, answer in turns:
            text += f'USER: {question} ASSISTANT:'
            if answer is not None:
                text += f' {answer}</s>'
        return text

    def _render_llama_2(self, turns: Sequence[Turn]) -> str:
        text = ''
        for index, (question, answer) in enumerate(turns):
            opening = f'<<SYS>>\n{self.system}\n<</SYS>>\n\n' if index == 0 else ''
            start = '' if index == 0 else '<s>'  # the tokeniser adds the first BOS itself
            text += f'{start}[INST] {opening}{question} [/INST]'
            if answer is not None:
                text += f' {answer} </s>'
        return text


_VICUNA = Template(
    'vicuna_v1',
    'A chat between a curious user and an artificial intelligence assistant. '
    "The assistant gives helpful, detailed, and polite answers to the user's questions.",
)
_LLAVA = Template(
    'llava_v1',
    'A chat between a curious human and an artificial intelligence assistant. '
    "The assistant gives helpful, detailed, and polite answers to the human's questions.",
)
_LLAMA_2 = Template(
    'llava_llama_2',
    'You are a helpful language and vision assistant. '
    'You are able to understand the visual content that the user provides, '
    'and assist the user with a variety of tasks using natural language.',
    llama_2=True,
)
TEMPLATES: dict[str, Template] = {'vicuna_v1': _VICUNA, 'v1': _VICUNA, 'llava_v1': _LLAVA, 'llava_llama_2': _LLAMA_2}
