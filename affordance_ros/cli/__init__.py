# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The console command `affordance`. Each verb imports what it needs when it runs, so that --help is quick."""

import os
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
from affordance_ros.cli.convert_verbs import conversion
from affordance_ros.cli.eval_verbs import evaluation
from affordance_ros.cli.failures import explained

app = typer.Typer(
    name='affordance',
    help='From a sentence and an RGB-D image to 3D contacts and grasp targets.',
    epilog='Exit codes: 0 an answer, 1 something failed or is missing, 2 bad usage or input, 3 no answer (says why).',
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(conversion)
app.add_typer(evaluation, name='eval')


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
    model: ModelName = 'robopoint',
    checkpoint: CheckpointPath = 'pocket',
    device: Device = 'cpu',
    dtype: Dtype = 'float32',
    depth: Annotated[Path | None, typer.Option(help='Registered depth: 16-bit PNG or .npy; 0 and 65535: none.')] = None,
    depth_scale: Annotated[float, typer.Option(help='Metres per depth unit; 0: 0.001 for integers, else 1.')] = 0.0,
    intrinsics: Annotated[str, typer.Option(help='"fx,fy,cx,cy" or a file (3x3, JSON, CameraInfo YAML, .mat).')] = '',
    gripper: GripperName = 'generic',
    task: Annotated[str, typer.Option(help='Kind of answer, as the page of the model lists them.')] = '',
    choice: Annotated[list[str] | None, typer.Option(help='What a question of choice offers. Repeatable.')] = None,
    option: ModelOptions = None,
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
        options = dict(key_value(item) for item in option or ())
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
    model: ModelName = 'robopoint',
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
    model: ModelName = '',
    checkpoint: Annotated[str, typer.Option(help='Folder or pocket.')] = '',
    device: Device = '',
    dtype: Dtype = '',
    target_frame: Annotated[str, typer.Option(help='Frame of the targets.')] = '',
    gripper: GripperName = '',
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
    resume: Resume = False,  # noqa: FBT002
    processes: Annotated[int, typer.Option(min=0, help='Training processes; 0: one per core.')] = 0,
) -> None:
    """Train a checkpoint on simulated tables and evaluate it."""
    with explained():
        from affordance_ros.training.run import train as run_training

        score = run_training(model, recipe, out, resume=resume, processes=processes)
        typer.echo(f'{out / "checkpoint"}: {score.rates()}')


@app.command()
def doctor(
    ros: Annotated[bool, typer.Option('--ros', help='Check the running graph: nodes, topics, sync, TF.')] = False,  # noqa: FBT002
    wait: Annotated[float, typer.Option(min=0.5, help='With --ros: seconds to wait for what is not there.')] = 10.0,
) -> None:
    """Check what is installed, or with --ros what runs; one line each, with the way out."""
    from affordance_ros.cli.doctor import run_doctor

    run_doctor(ros=ros, wait_s=wait)


def main() -> None:
    """Run the console command; models get two CPU threads unless OMP_NUM_THREADS says otherwise, as in the nodes."""
    os.environ.setdefault('OMP_NUM_THREADS', '2')  # one per core is many times slower on a machine that is busy
    app()
