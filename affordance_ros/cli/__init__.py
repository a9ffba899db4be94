# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The console command `affordance`. Each verb imports what it needs when it runs, so that --help is quick."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from affordance_ros.cli.failures import explained

app = typer.Typer(
    name='affordance',
    help='From a sentence and an RGB-D image to 3D contacts and grasp targets.',
    epilog='Exit codes: 0 an answer, 1 something failed or is missing, 2 bad usage or input, 3 no answer (says why).',
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def predict(  # noqa: PLR0913 - the options of a command
    images_and_sentence: Annotated[
        list[str],
        typer.Argument(
            metavar='IMAGE... SENTENCE',
            help='Colour image, or the images of a clip (oldest first), and what to point at or take hold of.',
        ),
    ],
    out: Annotated[Path, typer.Option(help='Folder for overlay.png, view_3d.png, report.html and answer.json.')],
    model: Annotated[str, typer.Option(help='See: affordance models.')] = 'robopoint',
    checkpoint: Annotated[str, typer.Option(help="Folder, or 'pocket' for the small one in this package.")] = 'pocket',
    device: Annotated[str, typer.Option(help='cpu, cuda, cuda:1, ...')] = 'cpu',
    dtype: Annotated[str, typer.Option(help='float32, float16 or bfloat16.')] = 'float32',
    depth: Annotated[Path | None, typer.Option(help='Registered depth: 16-bit PNG or .npy; 0 and 65535: none.')] = None,
    depth_scale: Annotated[float, typer.Option(help='Metres per depth unit; 0: 0.001 for integers, else 1.')] = 0.0,
    intrinsics: Annotated[str, typer.Option(help='"fx,fy,cx,cy" or a file (3x3, JSON, CameraInfo YAML, .mat).')] = '',
    gripper: Annotated[
        str, typer.Option(help='A preset (generic, panda, robotiq_2f_85, suction, ...) or a YAML file.')
    ] = 'generic',
    task: Annotated[str, typer.Option(help='Kind of answer, as the page of the model lists them.')] = '',
    choice: Annotated[list[str] | None, typer.Option(help='What a question of choice offers. Repeatable.')] = None,
    option: Annotated[
        list[str] | None, typer.Option(help='Further option of the model, as clip=DIR. Repeatable.')
    ] = None,
) -> None:
    """Ask a model about an image or a clip; with depth and intrinsics the answer becomes grasp targets."""
    from affordance_ros.cli.predict import PredictRequest, run_predict
    from affordance_ros.frame_files import FrameFiles

    with explained():
        *images, sentence = images_and_sentence
        if not images:
            raise typer.BadParameter('give an image and then a sentence in quotes', param_hint='IMAGE... SENTENCE')
        *earlier, newest = map(Path, images)
        files = FrameFiles(newest, depth, intrinsics, depth_scale)
        options = dict(_key_value(item) for item in option or ())
        run_predict(
            PredictRequest(
                files,
                sentence,
                out,
                model,
                checkpoint,
                device,
                dtype,
                gripper,
                options,
                tuple(earlier),
                task,
                tuple(choice or ()),
            )
        )


@app.command()
def models() -> None:
    """List the models and where their official checkpoints are."""
    from affordance_ros.cli.listing import print_models

    print_models()


@app.command()
def scene(  # noqa: PLR0913 - the options of a command
    out: Annotated[Path, typer.Option(help='Folder for rgb.png, depth.png, parts.png, truth.json, bag/, labels.json.')],
    seed: Annotated[int, typer.Option(min=0, help='Which scene; the same seed gives the same bytes.')] = 3,
    preset: Annotated[str, typer.Option(help='Camera: vga (640x480), hd (1280x720) or pocket.')] = 'vga',
    must_have: Annotated[str, typer.Option(help='An object that has to be there, as "red mug".')] = '',
    noise: Annotated[bool, typer.Option('--noise', help='Depth as a stereo camera measures it.')] = False,  # noqa: FBT002
    bag: Annotated[bool, typer.Option(help='Write a bag with its labels and prompts.')] = True,  # noqa: FBT002
    frames: Annotated[int, typer.Option(min=1, help='Frames of the bag.')] = 1,
    turn: Annotated[float, typer.Option(help='Degrees that the camera turns round the table per frame.')] = 0.0,
    depth: Annotated[str, typer.Option(help='16UC1, 32FC1 or compressedDepth.')] = '16UC1',
    storage: Annotated[str, typer.Option(help='mcap or sqlite3.')] = 'mcap',
    jpeg: Annotated[bool, typer.Option('--jpeg', help='Compressed colour.')] = False,  # noqa: FBT002
    unaligned: Annotated[bool, typer.Option('--unaligned', help='Depth from a camera of its own.')] = False,  # noqa: FBT002
    loop: Annotated[bool, typer.Option('--loop', help='The second half repeats the stamps of the first.')] = False,  # noqa: FBT002
    no_tf: Annotated[bool, typer.Option('--no-tf', help='Leave the transforms out of the bag.')] = False,  # noqa: FBT002
    no_info: Annotated[bool, typer.Option('--no-info', help='Leave the camera info out of the bag.')] = False,  # noqa: FBT002
) -> None:
    """Render a simulated table: colour, depth and truth, and a labelled bag of any kind for your own tests."""
    from affordance_ros.cli.scene import SceneRequest, run_scene
    from affordance_ros.evaluation.synthetic_bags import BagRecipe

    with explained():
        recipe = BagRecipe(
            frames=frames, turn_deg=turn, depth=depth, storage=storage, jpeg=jpeg, unaligned=unaligned, loop=loop,
            no_tf=no_tf, no_info=no_info, noise=noise,
        )  # fmt: skip
        run_scene(SceneRequest(out, seed, preset, must_have, noise, recipe if bag else None))


@app.command()
def demo(
    sentence: Annotated[str, typer.Argument(help='The question; empty: one that fits the scene.')] = '',
    seed: Annotated[int, typer.Option(min=0, help='Which scene.')] = 3,
    out: Annotated[Path, typer.Option(help='Folder for the pictures, the report, the answers and the bag.')] = Path(
        'out/demo'
    ),
    model: Annotated[str, typer.Option(help='See: affordance models.')] = 'robopoint',
    checkpoint: Annotated[str, typer.Option(help='Folder or pocket.')] = 'pocket',
) -> None:
    """Run camera, model and target nodes as processes over DDS, ask once, show the answer and stop."""
    from affordance_ros.cli.demo import DemoRequest, run_demo

    with explained():
        run_demo(DemoRequest(sentence, seed, out, model, checkpoint))


@app.command()
def up(  # noqa: PLR0913 - the options of a command
    params: Annotated[Path | None, typer.Option(help='Parameter file; left out: config/affordance.yaml.')] = None,
    namespace: Annotated[str, typer.Option(help='Namespace of all nodes and relative topics.')] = '',
    camera: Annotated[str, typer.Option(help='Topics of a driver: realsense, zed, oak, kinect, gazebo.')] = '',
    model: Annotated[str, typer.Option(help='See: affordance models.')] = '',
    checkpoint: Annotated[str, typer.Option(help='Folder or pocket.')] = '',
    device: Annotated[str, typer.Option(help='cpu, cuda, cuda:1, ...')] = '',
    dtype: Annotated[str, typer.Option(help='float32, float16 or bfloat16.')] = '',
    target_frame: Annotated[str, typer.Option(help='Frame of the targets.')] = '',
    gripper: Annotated[
        str, typer.Option(help='A preset (generic, panda, robotiq_2f_85, suction, ...) or a YAML file.')
    ] = '',
    log_level: Annotated[str, typer.Option(help='debug, info, warn or error.')] = 'info',
    sim_time: Annotated[bool, typer.Option('--sim-time', help='Take the time from /clock.')] = False,  # noqa: FBT002
    no_autostart: Annotated[bool, typer.Option('--no-autostart', help='Leave that to a manager.')] = False,  # noqa: FBT002
    no_respawn: Annotated[bool, typer.Option('--no-respawn', help='End when a node dies.')] = False,  # noqa: FBT002
    scene: Annotated[bool, typer.Option('--scene', help='With a simulated camera.')] = False,  # noqa: FBT002
) -> None:
    """Start the suite on the ROS domain of this shell, as bringup.launch.py does, until Ctrl-C."""
    from affordance_ros.cli.up import run_up

    values = {'params_file': str(params or ''), 'namespace': namespace, 'camera': camera, 'log_level': log_level}
    values |= {'model': model, 'checkpoint': checkpoint, 'device': device, 'dtype': dtype}
    values |= {'target_frame': target_frame, 'gripper': gripper, 'use_sim_time': str(sim_time).lower()}
    values |= {'autostart': str(not no_autostart).lower(), 'use_respawn': str(not no_respawn).lower()}
    with explained():
        run_up(values, scene=scene)


@app.command()
def call(
    sentence: Annotated[str, typer.Argument(help='What to take hold of.')],
    service: Annotated[str, typer.Option(help='Name of the service.')] = '/target_node/get_grasp_targets',
    timeout: Annotated[float, typer.Option(help='Seconds.')] = 30.0,
) -> None:
    """Ask a running graph for grasp targets (a client of the service)."""
    from affordance_ros.cli.call import run_call

    with explained():
        run_call(sentence, service, timeout)


@app.command()
def train(
    model: Annotated[str, typer.Argument(help='robopoint')],
    out: Annotated[Path, typer.Option(help='Folder of the run.')],
    recipe: Annotated[str, typer.Option(help='Named recipe.')] = 'pocket',
    resume: Annotated[bool, typer.Option('--resume', help='Go on with the run in the folder.')] = False,  # noqa: FBT002
    processes: Annotated[int, typer.Option(min=0, help='Training processes; 0: one per core.')] = 0,
) -> None:
    """Train a checkpoint on simulated tables and evaluate it."""
    with explained():
        from affordance_ros.training.run import train as run_training

        score = run_training(model, recipe, out, resume=resume, processes=processes)
        typer.echo(f'{out / "checkpoint"}: {score.rates()}')


@app.command()
def convert(  # noqa: PLR0913 - the options of a command
    model: Annotated[str, typer.Argument(help='Which model the checkpoint is of: robopoint or robointer.')],
    checkpoint: Annotated[Path, typer.Argument(help='Folder of the official checkpoint.')],
    to: Annotated[str, typer.Option(help='Layout to write: hf-llava or hf-llava-onevision.')],
    out: Annotated[Path, typer.Option(help='New folder.')],
    clip: Annotated[Path | None, typer.Option(help='Folder of the CLIP tower.')] = None,
    base: Annotated[Path | None, typer.Option(help='Folder of the base under a LoRA.')] = None,
    dtype: Annotated[str, typer.Option(help='float32, float16 or bfloat16.')] = 'float16',
    siglip: Annotated[Path | None, typer.Option(help='Folder of the SigLIP tower, for its sizes.')] = None,
) -> None:
    """Write an official checkpoint in a layout that transformers and vLLM load."""
    from affordance_ros.models.conversion import ConvertRequest, converter

    with explained():
        converter(model, to)(ConvertRequest(checkpoint, out, clip, base, dtype, siglip))
        typer.echo(f'wrote {out}')


@app.command('merge-lora')
def merge_lora(
    checkpoint: Annotated[Path, typer.Argument(help='Folder with adapter_config.json.')],
    out: Annotated[Path, typer.Option(help='New folder.')],
    base: Annotated[Path | None, typer.Option(help='Folder of the base; empty: the path in the adapter.')] = None,
    clip: Annotated[Path | None, typer.Option(help='Folder of the CLIP tower.')] = None,
    dtype: Annotated[str, typer.Option(help='float32, float16 or bfloat16.')] = 'float16',
) -> None:
    """Merge an unmerged LoRA release into its base and write a full checkpoint in the official layout."""
    with explained():
        from affordance_ros.models.conversion import ConvertRequest
        from affordance_ros.models.conversion.merged_lora import merge_checkpoint

        merge_checkpoint(ConvertRequest(checkpoint, out, clip, base, dtype))
        typer.echo(f'wrote {out}')


evaluation = typer.Typer(
    help='Ask recorded bags and published benchmarks, and compare the results.', no_args_is_help=True
)
app.add_typer(evaluation, name='eval')


@evaluation.command()
def bag(  # noqa: PLR0913 - the options of a command
    bag: Annotated[Path, typer.Argument(help='Folder of a rosbag2 bag: MCAP or sqlite3, split or compressed too.')],
    prompts: Annotated[str, typer.Option(help='A sentence, or a .txt, .yaml or .json file of them.')],
    out: Annotated[Path, typer.Option(help='Folder for report.html, answers.jsonl, answers.csv, results/ and more.')],
    model: Annotated[str, typer.Option(help='See: affordance models.')] = 'robopoint',
    checkpoint: Annotated[str, typer.Option(help="Folder, or 'pocket' for the small one in this package.")] = 'pocket',
    device: Annotated[str, typer.Option(help='cpu, cuda, cuda:1, ...')] = 'cpu',
    dtype: Annotated[str, typer.Option(help='float32, float16 or bfloat16.')] = 'float32',
    frames: Annotated[
        str, typer.Option(help='all, every:N, stamps:S1,S2 (seconds) or change:T (grey levels).')
    ] = 'all',
    gripper: Annotated[
        str, typer.Option(help='A preset (generic, panda, robotiq_2f_85, suction, ...) or a YAML file.')
    ] = 'generic',
    labels: Annotated[Path | None, typer.Option(help='JSON file of the truth (docs/evaluation.md).')] = None,
    gates: Annotated[Path | None, typer.Option(help='YAML file of thresholds; a failed one gives exit code 1.')] = None,
    image: Annotated[str, typer.Option(help='Topic; empty: the only one of its type.')] = '',
    depth: Annotated[str, typer.Option(help='Topic; empty: the only one of its type.')] = '',
    camera_info: Annotated[str, typer.Option(help='Topic; empty: the one beside the image.')] = '',
    target_frame: Annotated[str, typer.Option(help='Frame of the results; empty: the root of the transforms.')] = '',
    depth_scale: Annotated[float, typer.Option(help='Metres per depth unit; 0: as the encoding says.')] = 0.0,
    intrinsics: Annotated[str, typer.Option(help='"fx,fy,cx,cy" or a file, for bags without camera info.')] = '',
    static_tf: Annotated[Path | None, typer.Option(help='YAML list of transforms that the bag lacks.')] = None,
    resume: Annotated[bool, typer.Option('--resume', help='Go on with the run in the folder.')] = False,  # noqa: FBT002
    pictures: Annotated[bool, typer.Option(help='Write overlays and 3D views.')] = True,  # noqa: FBT002
    option: Annotated[
        list[str] | None, typer.Option(help='Further option of the model, as clip=DIR. Repeatable.')
    ] = None,
) -> None:
    """Ask a model about the frames of a bag, offline, and report what came of it."""
    from affordance_ros.bags import BagTopics
    from affordance_ros.cli.evaluate import BagRequest, run_bag

    with explained():
        topics = BagTopics(image, depth, camera_info, target_frame=target_frame, depth_scale=depth_scale)
        options = dict(_key_value(item) for item in option or ())
        run_bag(
            BagRequest(
                bag, prompts, out, model, checkpoint, device, dtype, frames, gripper, labels, gates, topics,
                intrinsics, static_tf, resume, pictures, options,
            )
        )  # fmt: skip


@evaluation.command()
def live(  # noqa: PLR0913 - the options of a command
    bag: Annotated[Path, typer.Argument(help='Folder of a rosbag2 bag: MCAP or sqlite3, split or compressed too.')],
    prompts: Annotated[str, typer.Option(help='A sentence, or a .txt, .yaml or .json file of them.')],
    out: Annotated[Path, typer.Option(help='Folder for report.html, answers.jsonl, answers.csv, results/ and more.')],
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
    model: Annotated[str, typer.Option(help='See: affordance models.')] = 'robopoint',
    checkpoint: Annotated[str, typer.Option(help="Folder, or 'pocket' for the small one in this package.")] = 'pocket',
    device: Annotated[str, typer.Option(help='cpu, cuda, cuda:1, ...')] = 'cpu',
    dtype: Annotated[str, typer.Option(help='float32, float16 or bfloat16.')] = 'float32',
    frames: Annotated[
        str, typer.Option(help='all, every:N, stamps:S1,S2 (seconds) or change:T (grey levels).')
    ] = 'all',
    gripper: Annotated[
        str, typer.Option(help='A preset (generic, panda, robotiq_2f_85, suction, ...) or a YAML file.')
    ] = 'generic',
    labels: Annotated[Path | None, typer.Option(help='JSON file of the truth (docs/evaluation.md).')] = None,
    gates: Annotated[Path | None, typer.Option(help='YAML file of thresholds; a failed one gives exit code 1.')] = None,
    image: Annotated[str, typer.Option(help='Topic; empty: the only one of its type.')] = '',
    depth: Annotated[str, typer.Option(help='Topic; empty: the only one of its type.')] = '',
    camera_info: Annotated[str, typer.Option(help='Topic; empty: the one beside the image.')] = '',
    target_frame: Annotated[str, typer.Option(help='Frame of the results; empty: the root of the transforms.')] = '',
    depth_scale: Annotated[float, typer.Option(help='Metres per depth unit; 0: as the encoding says.')] = 0.0,
    intrinsics: Annotated[str, typer.Option(help='"fx,fy,cx,cy" or a file, for bags without camera info.')] = '',
    static_tf: Annotated[Path | None, typer.Option(help='YAML list of transforms that the bag lacks.')] = None,
    resume: Annotated[bool, typer.Option('--resume', help='Go on with the run in the folder.')] = False,  # noqa: FBT002
    pictures: Annotated[bool, typer.Option(help='Write overlays and 3D views.')] = True,  # noqa: FBT002
    option: Annotated[
        list[str] | None, typer.Option(help='Further option of the model, as clip=DIR. Repeatable.')
    ] = None,
) -> None:
    """Show the frames of a bag to the real nodes, one by one or in real time, and report what they answered."""
    from affordance_ros.bags import BagTopics
    from affordance_ros.cli.evaluate import BagRequest
    from affordance_ros.cli.live import LiveRequest, run_live

    with explained():
        topics = BagTopics(image, depth, camera_info, target_frame=target_frame, depth_scale=depth_scale)
        options = dict(_key_value(item) for item in option or ())
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
    model: Annotated[str, typer.Option(help='See: affordance models.')],
    checkpoint: Annotated[str, typer.Option(help='Folder of the checkpoint.')] = '',
    device: Annotated[str, typer.Option(help='cpu, cuda, ...; cuda:0,cuda:1 shares the questions out.')] = 'cpu',
    dtype: Annotated[str, typer.Option(help='float32, float16 or bfloat16.')] = 'float32',
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
    resume: Annotated[bool, typer.Option('--resume', help='Go on with the run in the folder.')] = False,  # noqa: FBT002
    option: Annotated[
        list[str] | None, typer.Option(help='Further option of the model, as clip=DIR. Repeatable.')
    ] = None,
) -> None:
    """Ask a model the questions of a published benchmark and score it, right and as the official program does."""
    with explained():
        from affordance_ros.cli.benchmark import DatasetRequest, run_dataset
        from affordance_ros.evaluation.benchmark import Shard
        from affordance_ros.evaluation.benchmark_kind import Choice

        options = dict(_key_value(item) for item in option or ())
        settings = dict(_key_value(item) for item in data_option or ())
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


@app.command()
def doctor(
    ros: Annotated[bool, typer.Option('--ros', help='Check the running graph: nodes, topics, sync, TF.')] = False,  # noqa: FBT002
    wait: Annotated[float, typer.Option(min=0.5, help='With --ros: seconds to wait for what is not there.')] = 10.0,
) -> None:
    """Check what is installed, or with --ros what runs; one line each, with the way out."""
    from affordance_ros.cli.doctor import run_doctor

    run_doctor(ros=ros, wait_s=wait)


def _key_value(item: str) -> tuple[str, Any]:
    """Return name and value of NAME=VALUE; numbers, true, false and null are read as JSON, anything else is text."""
    name, equals, value = item.partition('=')
    if not equals or not name:
        raise typer.BadParameter(f'{item!r} is not NAME=VALUE', param_hint='--option')
    try:
        read = json.loads(value)
    except ValueError:
        return name, value
    return name, value if isinstance(read, str | list | dict) else read


def main() -> None:
    """Run the console command; models get two CPU threads unless OMP_NUM_THREADS says otherwise, as in the nodes."""
    os.environ.setdefault('OMP_NUM_THREADS', '2')  # one per core is many times slower on a machine that is busy
    app()
