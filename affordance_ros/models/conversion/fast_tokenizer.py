# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A SentencePiece model of LLaMA as a tokenizer.json, which servers load without sentencepiece.

Every text after a special token gets a blank in front (the `legacy` rule): so do the chunks around `<image>` in the
official prompts, and those are the ones that matter there.
"""

from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
from transformers import PreTrainedTokenizerFast

from affordance_ros.errors import AffordanceError, Code

_BLANK = '\u2581'


def fast_tokenizer(folder: Path, extra: tuple[str, ...]) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a checkpoint with `extra` special tokens after its vocabulary; the last one pads."""
    file = folder / 'tokenizer.model'
    if not file.is_file():
        raise AffordanceError(Code.MISSING_WEIGHTS, f'{file} is missing; it belongs to the checkpoint')
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(file))
    names = [str(pieces.id_to_piece(token)) for token in range(pieces.get_piece_size())]
    vocabulary = {name: token for token, name in enumerate(names)}
    unknown, start, end = names[pieces.unk_id()], names[pieces.bos_id()], names[pieces.eos_id()]
    model = models.BPE(
        vocab=vocabulary,
        merges=_merges(vocabulary, [float(pieces.get_score(token)) for token in range(len(names))]),
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(_BLANK), normalizers.Replace(' ', _BLANK)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_BLANK, ' '), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(' ', 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in (unknown, start, end, *extra)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f'{start} $A', pair=f'{start} $A $B', special_tokens=[(start, vocabulary[start])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=unknown,
        bos_token=start,
        eos_token=end,
        pad_token=extra[-1],
        clean_up_tokenization_spaces=False,
    )


def _merges(vocabulary: dict[str, int], scores: list[float]) -> list[tuple[str, str]]:
    """Return the pairs that SentencePiece joins, those of the piece with the best score first."""
    found: list[tuple[float, int, int, tuple[str, str]]] = []
    for name, token in vocabulary.items():
        for cut in range(1, len(name)):
            left, right = name[:cut], name[cut:]
            if left in vocabulary and right in vocabulary:
                found.append((-scores[token], vocabulary[left], vocabulary[right], (left, right)))
    return [pair for *_, pair in sorted(found)]
