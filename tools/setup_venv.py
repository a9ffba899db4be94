# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Set up `.venv`: system libraries, Python packages, ROS 2 Jazzy from wheels, our interfaces; only what changed.

What is installed is declared in pyproject.toml; this file holds the order and the checks. Standard library only.
"""

import ctypes
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
PYTHON = VENV / 'bin' / 'python'
BUILD = ROOT / 'build' / 'venv'
INTERFACES = (
    VENV / 'lib' / 'affordance_ros_interfaces'
)  # generated msg/srv/action modules; the sources stay in the tree
FIT = ((3, 11), (3, 12), (3, 13))  # the ROS wheels and Open3D exist for these
TORCH = 'torch==2.13.0'
LIBRARIES = {
    'libusb-1.0.so.0': 'libusb-1.0-0',
    'libGL.so.1': 'libgl1',
    'libgomp.so.1': 'libgomp1',
    'libEGL.so.1': 'libegl1',
    'libX11.so.6': 'libx11-6',
}


def say(text):
    """Print one line of progress at once."""
    print(f'[setup] {text}', flush=True)


def stop(text):
    """Print the way out and end with status 1."""
    print(f'[setup] {text}', file=sys.stderr, flush=True)
    raise SystemExit(1)


def run(*command, **options):
    """Run a command; when it fails, name it and end with status 1."""
    command = [str(part) for part in command]
    if subprocess.run(command, check=False, **options).returncode != 0:
        stop(f'this command failed: {" ".join(command)}')


def use_a_fit_python():
    """Continue under a Python of FIT: this one, or the first one on the PATH."""
    if sys.version_info[:2] in FIT and sys.prefix == sys.base_prefix:
        return
    for name in ('python3.11', 'python3.12', 'python3.13', 'python3'):
        path = shutil.which(name)
        query = 'import sys; print(sys.prefix == sys.base_prefix and sys.version_info[:2])'
        if path and subprocess.run([path, '-c', query], capture_output=True, text=True).stdout.strip() in map(str, FIT):
            os.execv(path, [path, *sys.argv])
    if sys.version_info[:2] not in FIT:
        found = '.'.join(map(str, sys.version_info[:2]))
        stop(f'Python 3.11, 3.12 or 3.13 is needed, found {found}; install one or name it: make setup PYTHON=PATH')


def missing_packages():
    """Return the apt packages of the libraries, compiler and headers that are not there."""
    missing = []
    for library, package in LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(package)
    if not (shutil.which('c++') or shutil.which('g++')):
        missing.append('g++')
    version = f'python{sys.version_info[0]}.{sys.version_info[1]}'
    if not Path(sysconfig.get_paths()['include'], 'Python.h').exists():
        missing.append(f'{version}-dev')
    if importlib.util.find_spec('ensurepip') is None:
        missing.append(f'{version}-venv')
    return missing


def install_system_packages():
    """Install what is missing when root with apt; otherwise print the one line that does it and stop."""
    missing = missing_packages()
    if not missing:
        return
    line = f'apt-get install -y --no-install-recommends {" ".join(missing)}'
    if os.geteuid() != 0 or not shutil.which('apt-get'):
        stop(f'system packages are missing; run: sudo {line}')
    say(f'installing system packages: {" ".join(missing)}')
    environment = {**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'}
    run('apt-get', 'update', '-qq', env=environment, stdout=subprocess.DEVNULL)
    run(*line.split(), '-qq', env=environment, stdout=subprocess.DEVNULL)
    if missing_packages():
        stop(f'still missing after apt-get: {" ".join(missing_packages())}')


def digest(*parts):
    """Return a hash over strings and over the names and bytes of files."""
    state = hashlib.sha256()
    for part in parts:
        named = isinstance(part, Path)
        state.update(part.relative_to(ROOT).as_posix().encode() + part.read_bytes() if named else part.encode())
    return state.hexdigest()


def done(stamp, key):
    """Tell whether `stamp` in the environment holds `key`: this step was finished with the same inputs."""
    path = VENV / stamp
    return path.exists() and path.read_text() == key


def create_venv():
    """Create `.venv` where there is none or where its Python does not start."""
    works = PYTHON.exists() and subprocess.run([str(PYTHON), '-c', ''], check=False).returncode == 0
    if not works:
        say(f'creating .venv with Python {sys.version.split()[0]}')
        run(sys.executable, '-m', 'venv', '--clear', VENV)


def pip(*arguments):
    """Run pip of the environment, quietly."""
    run(PYTHON, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', *arguments)


def would_pull_cuda():
    """Ask pip, without installing, whether its torch brings CUDA packages along."""
    command = [str(PYTHON), '-m', 'pip', 'install', '--quiet', '--dry-run', '--report', '-', TORCH]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode != 0:
        stop(f'pip finds no {TORCH}; is there a network, and is PIP_INDEX_URL right?')
    names = [entry['metadata']['name'].lower() for entry in json.loads(answer.stdout)['install']]
    return any(name.startswith(('nvidia-', 'cuda-')) for name in names)


def install_torch():
    """Install torch: on a machine without NVIDIA GPU a CPU build when one is at hand, elsewhere what pip prefers."""
    if subprocess.run([str(PYTHON), '-c', 'import torch'], capture_output=True, check=False).returncode == 0:
        return
    index = os.environ.get('TORCH_INDEX', '')
    has_gpu = Path('/proc/driver/nvidia/version').exists() or shutil.which('nvidia-smi') is not None
    source = []
    if index and (has_gpu or would_pull_cuda()):
        source = ['--index-url', index]
    elif not index and not has_gpu and would_pull_cuda():
        say('no GPU here, but pip only finds the large CUDA build; a CPU index avoids it: make setup TORCH_INDEX=URL')
    say(f'installing {TORCH}{" from TORCH_INDEX" if source else ""}')
    pip(TORCH, *source)


def install_python_packages():
    """Install what pyproject.toml declares, and this package in place, when the declaration changed."""
    import tomllib  # Python >= 3.11, which is only sure by now

    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())
    key = digest(json.dumps([project['project'], project['build-system']], sort_keys=True), TORCH)
    if done('stamp-packages', key):
        return
    pip(*project['build-system']['requires'])
    install_torch()
    say('installing the Python packages of pyproject.toml')
    pip('--no-build-isolation', '--editable', f'{ROOT}[ros,ros-build,dev]')
    (VENV / 'stamp-packages').write_text(key)


def cmake(source, build, *settings):
    """Configure, build and install one interface package into the environment."""
    prefix = os.pathsep.join(filter(None, (str(VENV / 'bin'), os.environ.get('PATH', ''))))
    environment = {**os.environ, 'PATH': prefix, 'AMENT_PREFIX_PATH': str(VENV), 'CMAKE_PREFIX_PATH': str(VENV)}
    fixed = {
        'CMAKE_BUILD_TYPE': 'Release',
        'CMAKE_INSTALL_PREFIX': VENV,
        'CMAKE_PROJECT_INCLUDE': ROOT / 'tools' / 'cmake' / 'pip_prefix.cmake',
        'Python3_EXECUTABLE': PYTHON,
        'BUILD_TESTING': 'OFF',
    }
    options = [f'-D{name}={value}' for name, value in fixed.items()]
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    log = build.parent / f'{build.name}.log'
    configure = ['-G', 'Ninja', '-S', source, '-B', build, *options, *settings]
    for step in (configure, ['--build', build, '--target', 'install']):
        with log.open('a') as stream:
            command = [str(part) for part in (VENV / 'bin' / 'cmake', *step)]
            code = subprocess.run(command, env=environment, stdout=stream, stderr=stream, check=False).returncode
        if code != 0:
            print('\n'.join(log.read_text().splitlines()[-40:]), file=sys.stderr)
            stop(f'building the interfaces failed; the whole log is in {log}')


def build_interfaces():
    """Generate and compile the message modules when msg/, srv/, action/ or their CMake files changed."""
    sources = [path for folder in ('msg', 'srv', 'action') for path in sorted((ROOT / folder).glob('*.*'))]
    recipe = sorted(path for path in (ROOT / 'tools').rglob('*') if path.suffix in {'.cmake', '.msg', '.txt', '.xml'})
    if not sources:
        stop('msg/, srv/ and action/ hold no interface to build')
    key = digest(*sources, *recipe, ROOT / 'CMakeLists.txt', ROOT / 'package.xml', str(VENV))
    if done('stamp-interfaces', key):
        return
    if not (VENV / 'share' / 'tf2_msgs').exists():
        say('building tf2_msgs, which no wheel has')
        cmake(ROOT / 'tools' / 'tf2_msgs', BUILD / 'tf2_msgs')
    say(f'building {len(sources)} interfaces')
    shutil.rmtree(INTERFACES, ignore_errors=True)
    relative = INTERFACES.relative_to(VENV).as_posix()
    cmake(ROOT, BUILD / 'affordance_ros', f'-DPYTHON_INSTALL_DIR={relative}', '-DINTERFACES_ONLY=ON')
    # By the scheme of virtual environments: the default one of Debian's Python names folders of the system.
    packages = Path(sysconfig.get_path('purelib', scheme='venv', vars={'base': str(VENV)}))
    (packages / 'affordance_ros_interfaces.pth').write_text(f'{INTERFACES}\n')
    (VENV / 'stamp-interfaces').write_text(key)


def main():
    """Run the steps in order; a second call only compares hashes."""
    started = time.monotonic()
    use_a_fit_python()
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two calls of make at once: the second waits, then finds all done
        install_system_packages()
        create_venv()
        install_python_packages()
        build_interfaces()
    say(f'ready after {time.monotonic() - started:.1f} s')


if __name__ == '__main__':
    main()
