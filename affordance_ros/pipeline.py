# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""predict -> lift -> grasp: from a frame and a question to grasp targets, for nodes, bags, examples and the CLI."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from affordance_ros.geometry.lifting import Lifted, LiftSettings, lift_places
from affordance_ros.geometry.paths import PathSettings, lift_paths
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.grasping.candidates import GraspSettings
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.obstacles import obstacles_of
from affordance_ros.grasping.placing import PlaceSettings, place_contact
from affordance_ros.grasping.ranking import grasp_contact
from affordance_ros.models.base import AffordanceModel, ProgressCallback, StopFlag, single_frame
from affordance_ros.results import (
    Abstention,
    Contact,
    Frame,
    GraspTarget,
    LiftedPath,
    Obstacle,
    PlaceTarget,
    Prediction,
    Query,
)

PLACING = ('place', 'put', 'put down', 'free_space', 'free space')
Found = Contact | Abstention | GraspTarget | PlaceTarget | LiftedPath


@dataclass(frozen=True)
class PipelineSettings:
    """Everything that can be set between the answer of a model and a grasp target.

    obstacles: also return the table and the things that are held as solids, for the scene of a planner.
    """

    lift: LiftSettings = field(default_factory=LiftSettings)
    gripper: GripperSettings = field(default_factory=GripperSettings)
    grasp: GraspSettings = field(default_factory=GraspSettings)
    place: PlaceSettings = field(default_factory=PlaceSettings)
    path: PathSettings = field(default_factory=PathSettings)
    obstacles: bool = False


@dataclass(frozen=True)
class Answer:
    """What one question came to. Everything is in the camera's optical frame at the frame's stamp.

    Every place that the prediction names ends in `targets`, in `places` (where the question was where to put something)
    or in `abstentions`. targets, places: best first. paths: traces and hand paths in 3D.
    seconds: wall time by stage.
    """

    frame: Frame
    prediction: Prediction
    contacts: tuple[Contact, ...]
    targets: tuple[GraspTarget, ...]
    abstentions: tuple[Abstention, ...]
    seconds: Mapping[str, float]
    places: tuple[PlaceTarget, ...] = ()
    paths: tuple[LiftedPath, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()


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
    found: list[Found] = [place.item for place in lifted if isinstance(place.item, Abstention)]
    cloud = None
    if contacts:
        cloud = SceneCloud(frame, settings.lift.noise, settings.lift.range_m)
        found += lift_paths(cloud, prediction, settings.lift, settings.path)
        placing = wants_place(prediction.query)
        for place in lifted:
            if isinstance(place.item, Contact):
                found += _held_or_put(cloud, place, settings, placing=placing)
    seconds = {**prediction.seconds, 'lift': middle - start, 'grasp': time.perf_counter() - middle}
    targets = sorted((item for item in found if isinstance(item, GraspTarget)), key=lambda target: -target.score)
    solids = obstacles_of(cloud, [target.contact for target in targets]) if settings.obstacles and cloud else ()
    places = sorted((item for item in found if isinstance(item, PlaceTarget)), key=lambda target: -target.score)
    return Answer(
        frame,
        prediction,
        tuple(contacts),
        tuple(targets),
        tuple(item for item in found if isinstance(item, Abstention)),
        seconds,
        tuple(places),
        tuple(item for item in found if isinstance(item, LiftedPath)),
        solids,
    )


def wants_place(query: Query) -> bool:
    """Tell whether a question asks where to put something, not where to take hold."""
    first = (query.sentence.lower().split() or [''])[0]
    return query.task in PLACING or query.action.strip().lower() in PLACING or first in ('place', 'put')


def _held_or_put(cloud: SceneCloud, place: Lifted, settings: PipelineSettings, *, placing: bool) -> list[Found]:
    """Return the targets at a lifted place, or the abstention."""
    assert isinstance(place.item, Contact)
    if placing:
        return [place_contact(cloud, place.item, settings.place)]
    found = grasp_contact(cloud, place.item, place.region, settings.gripper, settings.grasp)
    return [found] if isinstance(found, Abstention) else list(found)
