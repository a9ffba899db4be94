# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a grammar guide must know of a byte-level tokenizer of the Qwen family."""

from typing import Any

from affordance_ros.models.parts.grammar import TokenTable


def byte_of_character() -> dict[str, int]:
    """Return the byte that each character of a byte-level vocabulary stands for (GPT-2's table)."""
    shown = [*range(ord('!'), ord('~') + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + index): byte for index, byte in enumerate(hidden)}


def byte_level_table(fast: Any, eos_id: int) -> TokenTable:
    """Return the table of a byte-level tokenizer of transformers; special tokens are never written as text."""
    to_byte = byte_of_character()
    special = set(map(int, fast.all_special_ids))
    tokens: list[bytes | None] = [None] * len(fast)
    added = fast.get_added_vocab()
    for text, index in fast.get_vocab().items():
        if index in special or index >= len(tokens):
            continue
        if text in added:
            tokens[index] = None if text.startswith('<|') else text.encode()
        else:
            tokens[index] = bytes(to_byte[character] for character in text)
    return TokenTable(tokens, lambda text: [int(i) for i in fast.encode(text, add_special_tokens=False)], eos_id)
