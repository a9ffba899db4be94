# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks by name."""

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.agd20k_benchmark import AGD20K
from affordance_ros.evaluation.benchmark_kind import BenchmarkKind
from affordance_ros.evaluation.epic_benchmark import EPIC_HANDS
from affordance_ros.evaluation.hova_benchmark import HOVA
from affordance_ros.evaluation.reasonaff_benchmark import REASONAFF
from affordance_ros.evaluation.robointer_benchmark import ROBOINTER_VQA
from affordance_ros.evaluation.umd_benchmark import UMD
from affordance_ros.evaluation.where2place_benchmark import ROBOREFIT, WHERE2PLACE

BENCHMARKS = {
    'robointer_vqa': ROBOINTER_VQA,
    'where2place': WHERE2PLACE,
    'roborefit': ROBOREFIT,
    'hova': HOVA,
    'epic_hands': EPIC_HANDS,
    'reasonaff': REASONAFF,
    'umd': UMD,
    'agd20k': AGD20K,
}


def benchmark_kind(name: str) -> BenchmarkKind:
    """Return a benchmark by name. Raises BAD_INPUT."""
    if name not in BENCHMARKS:
        raise AffordanceError(Code.BAD_INPUT, f'{name!r} is no benchmark; known: {", ".join(BENCHMARKS)}')
    return BENCHMARKS[name]
