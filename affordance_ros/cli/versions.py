# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was used, for reports: the loaded model and the installed versions."""

import platform
from importlib.metadata import PackageNotFoundError, version

from affordance_ros.models import ModelInfo

PACKAGES = (
    'affordance_ros',
    'numpy',
    'opencv-python-headless',
    'torch',
    'transformers',
    'open3d',
    'rosbags',
    'ros-rclpy',
)


def installed(name: str) -> str:
    """Return the version of a distribution, '' when it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ''


def version_lines() -> dict[str, str]:
    """Return Python and every package of ours that is installed."""
    found = {name: installed(name) for name in PACKAGES}
    return {'python': platform.python_version(), **{name: text for name, text in found.items() if text}}


def model_lines(info: ModelInfo) -> dict[str, str]:
    """Return what is loaded, for people."""
    lines = {
        'name': info.name,
        'checkpoint': info.checkpoint,
        'parameters': f'{info.parameters / 1e6:.1f} million, {info.memory_bytes / 2**20:.0f} MiB',
        'runs on': f'{info.device}, {info.dtype}',
        'licences': f'code {info.code_licence}, weights {info.weights_licence}',
        'origin': info.repository,
    }
    return {key: value for key, value in lines.items() if value}
