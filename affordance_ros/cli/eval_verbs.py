# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verbs of `affordance eval`."""

from pathlib import Path
from typing import Annotated

import typer

from affordance_ros.cli.arguments import (
    CheckpointPath,
    Device,
    Dtype,
    GripperName,
    ModelName,
    ModelOptions,
    Resume,
    key_value,
)
from affordance_ros.cli.failures import explained

# What `bag` and `live` share.
BagFolder = Annotated[Path, typer.Argument(help='Folder of a rosbag2 bag: MCAP or sqlite3, split or compressed too.')]
Prompts = Annotated[str, typer.Option(help='A sentence, or a .txt, .yaml or .json file of them.')]
ReplayFolder = Annotated[
    Path, typer.Option(help='Folder for report.html, answers.jsonl, answers.csv, results/ and more.')
]
FrameChoice = Annotated[str, typer.Option(help='all, every:N, stamps:S1,S2 (seconds) or change:T (grey levels).')]
Labels = Annotated[Path | None, typer.Option(help='JSON file of the truth (docs/evaluation.md).')]
Gates = Annotated[Path | None, typer.Option(help='YAML file of thresholds; a failed one gives exit code 1.')]
StreamTopic = Annotated[str, typer.Option(help='Topic; empty: the only one of its type.')]
InfoTopic = Annotated[str, typer.Option(help='Topic; empty: the one beside the image.')]
TargetFrame = Annotated[str, typer.Option(help='Frame of the results; empty: the root of the transforms.')]
DepthScale = Annotated[float, typer.Option(help='Metres per depth unit; 0: as the encoding says.')]
BagIntrinsics = Annotated[str, typer.Option(help='"fx,fy,cx,cy" or a file, for bags without camera info.')]
StaticTf = Annotated[Path | None, typer.Option(help='YAML list of transforms that the bag lacks.')]
Pictures = Annotated[bool, typer.Option(help='Write overlays and 3D views.')]

evaluation = typer.Typer(
    help='Ask recorded bags and published benchmarks, and compare the results.', no_args_is_help=True
)


@evaluation.command()
def bag(  # noqa: PLR0913 - the options of a command
    bag: BagFolder,
    prompts: Prompts,
    out: ReplayFolder,
    model: ModelName = 'robopoint',
    checkpoint: CheckpointPath = 'pocket',
    device: Device = 'cpu',
    dtype: Dtype = 'float32',
    frames: FrameChoice = 'all',
    gripper: GripperName = 'generic',
    labels: Labels = None,
    gates: Gates = None,
    image: StreamTopic = '',
    depth: StreamTopic = '',
    camera_info: InfoTopic = '',
    target_frame: TargetFrame = '',
    depth_scale: DepthScale = 0.0,
    intrinsics: BagIntrinsics = '',
    static_tf: StaticTf = None,
    resume: Resume = False,  # noqa: FBT002
    pictures: Pictures = True,  # noqa: FBT002
    option: ModelOptions = None,
) -> None:
    """Ask a model about the frames of a bag, offline, and report what came of it."""
    from affordance_ros.bags import BagTopics
    from affordance_ros.cli.evaluate import BagRequest, run_bag

    with explained():
        topics = BagTopics(image, depth, camera_info, target_frame=target_frame, depth_scale=depth_scale)
        options = dict(key_value(item) for item in option or ())
        run_bag(
            BagRequest(
                bag, prompts, out, model, checkpoint, device, dtype, frames, gripper, labels, gates, topics,
                intrinsics, static_tf, resume, pictures, options,
            )
        )  # fmt: skip


@evaluation.command()
def live(  # noqa: PLR0913 - the options of a command
    bag: BagFolder,
    prompts: Prompts,
    out: ReplayFolder,
    real_time: Annotated[  # noqa: FBT002
        bool, typer.Option('--real-time', help='Play at the pace of the recording and count the frames that drop.')
    ] = False,
    rate: Annotated[float, typer.Option(min=0.01, help='With --real-time: 2 plays twice as fast.')] = 1.0,
    timeout: Annotated[float, typer.Option(min=0.1, help='Seconds for one answer; none in time: exit code 1.')] = 30.0,
    running: Annotated[  # noqa: FBT002
        bool, typer.Option('--running', help='Ask nodes that run already, with use_sim_time, on this ROS_DOMAIN_ID.')
    ] = False,
    affordance_node: Annotated[str, typer.Option(help='With --running: its name.')] = '/affordance_node',
    target_node: Annotated[str, typer.Option(help='With --running: its name.')] = '/target_node',
    camera: Annotated[str, typer.Option(help='Namespace of the topics that are published, as /front.')] = '',
    model: ModelName = 'robopoint',
    checkpoint: CheckpointPath = 'pocket',
    device: Device = 'cpu',
    dtype: Dtype = 'float32',
    frames: FrameChoice = 'all',
    gripper: GripperName = 'generic',
    labels: Labels = None,
    gates: Gates = None,
    image: StreamTopic = '',
    depth: StreamTopic = '',
    camera_info: InfoTopic = '',
    target_frame: TargetFrame = '',
    depth_scale: DepthScale = 0.0,
    intrinsics: BagIntrinsics = '',
    static_tf: StaticTf = None,
    resume: Resume = False,  # noqa: FBT002
    pictures: Pictures = True,  # noqa: FBT002
    option: ModelOptions = None,
) -> None:
    """Show the frames of a bag to the real nodes, one by one or in real time, and report what they answered."""
    from affordance_ros.bags import BagTopics
    from affordance_ros.cli.evaluate import BagRequest
    from affordance_ros.cli.live import LiveRequest, run_live

    with explained():
        topics = BagTopics(image, depth, camera_info, target_frame=target_frame, depth_scale=depth_scale)
        options = dict(key_value(item) for item in option or ())
        asked = BagRequest(
            bag, prompts, out, model, checkpoint, device, dtype, frames, gripper, labels, gates, topics,
            intrinsics, static_tf, resume, pictures, options,
        )  # fmt: skip
        run_live(
            LiveRequest(
                asked,
                rate=rate if real_time else 0.0,
                timeout_s=timeout,
                running=running,
                prefix=camera,
                affordance_node=affordance_node,
                target_node=target_node,
            )
        )


@evaluation.command()
def compare(
    first: Annotated[Path, typer.Argument(help='Folder of a run.')],
    second: Annotated[Path, typer.Argument(help='Folder of another run.')],
    margin: Annotated[float, typer.Option(min=0.0, help='Share by which a number may change.')] = 0.05,
    ignore: Annotated[
        list[str] | None, typer.Option(help='Beginning of names to leave out, as seconds. Repeatable.')
    ] = None,
) -> None:
    """Print what got better and worse from one run to another; exit code 1 when something got worse."""
    from affordance_ros.cli.evaluate import run_compare

    with explained():
        run_compare(first, second, margin, tuple(ignore or ()))


@evaluation.command()
def dataset(  # noqa: PLR0913 - the options of a command
    name: Annotated[str, typer.Argument(help='One of: affordance eval datasets.')],
    root: Annotated[Path, typer.Option(help='Folder of the data set in the layout of its owners.')],
    out: Annotated[Path, typer.Option(help='Folder for answers.jsonl, metrics.json and the official answer files.')],
    model: ModelName,
    checkpoint: Annotated[str, typer.Option(help='Folder of the checkpoint.')] = '',
    device: Annotated[str, typer.Option(help='cpu, cuda, ...; cuda:0,cuda:1 shares the questions out.')] = 'cpu',
    dtype: Dtype = 'float32',
    task: Annotated[list[str] | None, typer.Option(help='Only this task. Repeatable.')] = None,
    limit: Annotated[int | None, typer.Option(min=1, help='Only so many questions of each task.')] = None,
    split: Annotated[str, typer.Option(help='train, val or test; empty: the one of the published figures.')] = '',
    coordinates: Annotated[
        str, typer.Option(help='Format of the answers: origin, llava or smart_resize; empty: that of the model.')
    ] = '',
    image_root: Annotated[list[Path] | None, typer.Option(help='Further folder of images. Repeatable.')] = None,
    data_option: Annotated[
        list[str] | None, typer.Option(help='Further choice of the data set, as labels=sp. Repeatable.')
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help='Questions asked at once, where the model can.')] = 1,
    processes: Annotated[int, typer.Option(min=1, help='Processes on each device.')] = 1,
    engine: Annotated[str, typer.Option(help='Who answers; local: models in these processes.')] = 'local',
    shard: Annotated[str, typer.Option(help='INDEX/COUNT: this process asks its share only.')] = '0/1',
    resume: Resume = False,  # noqa: FBT002
    option: ModelOptions = None,
) -> None:
    """Ask a model the questions of a published benchmark and score it, right and as the official program does."""
    with explained():
        from affordance_ros.cli.benchmark import DatasetRequest, run_dataset
        from affordance_ros.evaluation.benchmark import Shard
        from affordance_ros.evaluation.benchmark_kind import Choice

        options = dict(key_value(item) for item in option or ())
        settings = dict(key_value(item) for item in data_option or ())
        choice = Choice(root, model, tuple(task or ()), limit, split, coordinates, tuple(image_root or ()), settings)
        run_dataset(
            DatasetRequest(
                name, choice, out, checkpoint, device, dtype, Shard.parse(shard), resume, options, batch, processes,
                engine,
            )
        )  # fmt: skip


@evaluation.command()
def datasets() -> None:
    """List the benchmarks of `eval dataset`: what they ask, where their data are, under which licence."""
    from affordance_ros.cli.listing import print_benchmarks

    print_benchmarks()


@evaluation.command()
def rescore(out: Annotated[Path, typer.Argument(help='Folder of a run of eval dataset.')]) -> None:
    """Score the answers of a finished benchmark again; needs neither model nor data."""
    with explained():
        from affordance_ros.cli.benchmark import run_rescore

        run_rescore(out)
