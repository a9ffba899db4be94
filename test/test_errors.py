# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A refusal that is kept, in diagnostics or in an answer, holds on to nothing of the request that it refused."""

import gc
import weakref

import numpy as np
import pytest

from affordance_ros.errors import AffordanceError, Code, UnparsableAnswer


class Image:
    """Stands for what is large in the frames of a request."""

    def __init__(self) -> None:
        self.pixels = np.zeros((720, 1280, 3), np.uint8)


def refuse(image: Image) -> None:
    raise AffordanceError(Code.TF, f'no pose for {image.pixels.shape}')


def kept(image: Image) -> AffordanceError:
    try:
        refuse(image)
    except AffordanceError as error:
        return error.bare()
    raise AssertionError('it is refused')


def test_a_bare_refusal_lets_go_of_the_images() -> None:
    gc.disable()  # the collector would find the cycle some time later; until then every refusal would hold its images
    try:
        image = Image()
        gone = weakref.ref(image)
        error = kept(image)
        del image
        assert gone() is None
    finally:
        gc.enable()
    assert (error.code, error.message) == (Code.TF, 'no pose for (720, 1280, 3)')
    assert error.__traceback__ is error.__context__ is error.__cause__ is None


def test_an_unreadable_answer_keeps_its_text() -> None:
    with pytest.raises(UnparsableAnswer) as raised:
        raise UnparsableAnswer('[(0.1, ')
    bare = raised.value.bare()
    assert isinstance(bare, UnparsableAnswer)
    assert (bare.text, bare.code, bare.message) == ('[(0.1, ', Code.UNPARSABLE_ANSWER, raised.value.message)
