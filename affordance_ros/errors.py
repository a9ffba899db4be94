# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every reason to refuse or abstain: one code and one sentence each.

The numbers are the constants of `msg/Outcome.msg`; a test compares the two lists. They never change meaning.
"""

import enum


class Code(enum.IntEnum):
    """Why there is no answer (0: there is one)."""

    OK = 0
    # What came in.
    BAD_INPUT = 1
    BAD_ENCODING = 2
    NO_IMAGE = 3
    NO_DEPTH = 4
    UNITS = 5
    UNALIGNED = 6
    STALE = 7
    TF = 8
    NO_CLIP = 9
    # The model.
    UNKNOWN_MODEL = 20
    MISSING_WEIGHTS = 21
    BAD_CHECKPOINT = 22
    UNPARSABLE_ANSWER = 23
    EMPTY_MODEL_OUTPUT = 24
    OOM = 25
    WORKER_DIED = 26
    NO_ANSWER_TOKEN = 27
    # The request.
    NOT_ACTIVE = 40
    BUSY = 41
    TIMEOUT = 42
    CANCELED = 43
    REPLACED = 44
    # From pixels to a grasp.
    OUT_OF_IMAGE = 60
    MULTI_SURFACE = 61
    TOO_FEW_POINTS = 62
    TOO_THIN = 63
    TOO_WIDE = 64
    NO_CLEARANCE = 65
    LOW_SCORE = 66
    MOVED = 67
    NOT_FLAT = 68
    NOT_FREE = 69
    # A defect of ours: please report it.
    INTERNAL = 99


class AffordanceError(Exception):
    """A refusal: `code` for programs, the message for people (what is wrong and the way out)."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type, tuple[Code, str]]:
        return type(self), (self.code, self.message)  # the worker process sends errors by pickle

    def bare(self) -> 'AffordanceError':
        """Return the same refusal to be kept, without the traceback: its frames hold on to the images of a request."""
        kind, arguments = self.__reduce__()
        bare: AffordanceError = kind(*arguments)
        return bare


class UnparsableAnswer(AffordanceError):
    """The model wrote something that holds no readable answer; `text` is what it wrote."""

    def __init__(self, text: str, message: str = '') -> None:
        shown = text if len(text) <= 200 else text[:200] + '...'
        super().__init__(
            Code.UNPARSABLE_ANSWER, message or f'no answer can be read from the text of the model: {shown!r}'
        )
        self.text = text

    def __reduce__(self) -> tuple[type, tuple[str, str]]:  # type: ignore[override]
        return type(self), (self.text, self.message)
