# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""predict -> lift -> grasp: from a frame and a question to grasp targets, for nodes, bags, examples and the CLI."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from affordance_ros.geometry.lifting import LiftSettings, lift_places
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.grasping.candidates import GraspSettings
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.ranking import grasp_contact
from affordance_ros.models.base import AffordanceModel, ProgressCallback, StopFlag, single_frame
from affordance_ros.results import Abstention, Contact, Frame, GraspTarget, Prediction, Query


@dataclass(frozen=True)
class PipelineSettings:
    """Everything that can be set between the answer of a model and a grasp target."""

    lift: LiftSettings = field(default_factory=LiftSettings)
    gripper: GripperSettings = field(default_factory=GripperSettings)
    grasp: GraspSettings = field(default_factory=GraspSettings)


@dataclass(frozen=True)
class Answer:
    """What one question came to. Everything is in the camera's optical frame at the frame's stamp.

    Every place that the prediction names ends in `targets` or in `abstentions`. targets: best first.
    seconds: wall time by stage.
    """

    frame: Frame
    prediction: Prediction
    contacts: tuple[Contact, ...]
    targets: tuple[GraspTarget, ...]
    abstentions: tuple[Abstention, ...]
    seconds: Mapping[str, float]


def run(  # noqa: PLR0913 - the two callbacks are keywords
    model: AffordanceModel,
    frame: Frame | Sequence[Frame],
    query: Query,
    settings: PipelineSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    stop: StopFlag | None = None,
) -> Answer:
    """Ask a model about a frame, or a clip, oldest first, and turn the answer into grasp targets in the newest frame.

    Raises AffordanceError where the model refuses; what cannot be lifted or grasped becomes an abstention.
    """
    prediction = model.predict(frame, query, progress=progress, stop=stop)
    return lift_and_grasp(single_frame(frame), prediction, settings or PipelineSettings())


def lift_and_grasp(frame: Frame, prediction: Prediction, settings: PipelineSettings) -> Answer:
    """Turn a prediction into contacts, grasp targets and abstentions."""
    start = time.perf_counter()
    lifted = lift_places(frame, prediction, settings.lift)
    middle = time.perf_counter()
    contacts = [place.item for place in lifted if isinstance(place.item, Contact)]
    refused = [place.item for place in lifted if isinstance(place.item, Abstention)]
    targets: list[GraspTarget] = []
    cloud = SceneCloud(frame, settings.lift.noise, settings.lift.range_m) if contacts else None
    for place in lifted:
        if cloud is None or not isinstance(place.item, Contact):
            continue
        found = grasp_contact(cloud, place.item, place.region, settings.gripper, settings.grasp)
        if isinstance(found, Abstention):
            refused.append(found)
        else:
            targets += found
    targets.sort(key=lambda target: -target.score)
    seconds = {**prediction.seconds, 'lift': middle - start, 'grasp': time.perf_counter() - middle}
    return Answer(frame, prediction, tuple(contacts), tuple(targets), tuple(refused), seconds)
