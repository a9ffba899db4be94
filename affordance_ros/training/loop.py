# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small data-parallel loop for CPUs: one thread per process, one all-reduce per step, resumable to the step.

Many single-threaded processes beat one process with many threads on a busy machine, and every rank draws its own data
from (seed, rank, step), so a resumed run sees what an uninterrupted one would have seen.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from affordance_ros.training.recipes import Stage

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Rank:
    """Which process this is."""

    index: int
    count: int


def schedule(step: int, stage: Stage) -> float:
    """Return the factor of the learning rate: linear warm-up, then cosine to 2 %."""
    if step < stage.warm_up:
        return (step + 1) / stage.warm_up
    share = (step - stage.warm_up) / max(1, stage.steps - stage.warm_up)
    return 0.02 + 0.49 * (1 + math.cos(math.pi * min(1.0, share)))


def make_optimizers(slow: nn.Module, fast: list[nn.Module], stage: Stage) -> list[torch.optim.Optimizer]:
    """Return Muon for the hidden matrices and AdamW for the rest; `slow` learns at the stage's tower rate.

    Muon: https://kellerjordan.github.io/posts/muon, as torch.optim.Muon, with the update scaled to AdamW's RMS.
    """
    groups: dict[str, list[dict[str, object]]] = {'matrix': [], 'rest': []}
    for modules, rate in (([slow], stage.tower_rate), (fast, stage.learning_rate)):
        named = [item for module in modules for item in module.named_parameters() if item[1].requires_grad]
        is_matrix = {name: p.ndim == 2 and not any(word in name for word in ('embed', 'lm_head')) for name, p in named}
        for kind, wanted in (('matrix', True), ('rest', False)):
            chosen = [p for name, p in named if is_matrix[name] is wanted]
            if chosen:
                groups[kind].append({'params': chosen, 'lr': rate, 'base_lr': rate})
    muon = torch.optim.Muon(groups['matrix'], lr=1e-3, weight_decay=0.05, momentum=0.95, adjust_lr_fn='match_rms_adamw')
    adam = torch.optim.AdamW(groups['rest'], lr=1e-3, weight_decay=0.02, betas=(0.9, 0.98))
    return [muon, adam]


def average_gradients(parameters: list[nn.Parameter], rank: Rank) -> None:
    """Average the gradients over the processes and clip them to norm 1."""
    used = [p for p in parameters if p.grad is not None]
    if rank.count > 1:
        flat = torch.cat([p.grad.flatten() for p in used if p.grad is not None])
        dist.all_reduce(flat)
        flat /= rank.count
        offset = 0
        for p in used:
            assert p.grad is not None
            p.grad.copy_(flat[offset : offset + p.numel()].view_as(p))
            offset += p.numel()
    nn.utils.clip_grad_norm_(used, 1.0)


@dataclass
class Progress:
    """Where a run stands; saved with it."""

    stage: str = 'perception'
    step: int = 0


def run_steps(
    stage: Stage,
    progress: Progress,
    rank: Rank,
    hooks: tuple[
        list[torch.optim.Optimizer], Callable[[int, np.random.Generator], Losses], Callable[[int, Losses], None]
    ],
    seed: int,
) -> None:
    """Run a stage from `progress.step` on.

    hooks: optimisers, losses of one step ('loss' is minimised), report after a step.
    """
    optimizers, losses_of, report = hooks
    parameters = [p for optimizer in optimizers for group in optimizer.param_groups for p in group['params']]
    while progress.step < stage.steps:
        step = progress.step
        factor = schedule(step, stage)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group['lr'] = group['base_lr'] * factor
        rng = np.random.default_rng((seed, rank.index, step, len(progress.stage)))
        losses = losses_of(step, rng)
        for p in parameters:
            p.grad = None
        losses['loss'].backward()
        average_gradients(parameters, rank)
        for optimizer in optimizers:
            optimizer.step()
        progress.step += 1
        report(progress.step, losses)


def save_state(path: Path, net: nn.Module, optimizers: list[torch.optim.Optimizer], progress: Progress) -> None:
    """Write the state of a run, whole or not at all."""
    partial = path.with_suffix('.partial')
    state = {
        'net': net.state_dict(),
        'optimizers': [o.state_dict() for o in optimizers],
        'stage': progress.stage,
        'step': progress.step,
    }
    torch.save(state, partial)
    os.replace(partial, path)


def launch(worker: Callable[..., None], arguments: tuple[object, ...], processes: int, rendezvous: Path) -> None:
    """Run `worker(rank, *arguments)` in `processes` processes that can all-reduce; Ctrl-C ends them all."""
    rendezvous.unlink(missing_ok=True)
    if processes == 1:
        torch.set_num_threads(1)
        worker(Rank(0, 1), *arguments)
        return
    spawn(_joined, (worker, arguments, processes, str(rendezvous)), nprocs=processes)


def _joined(
    index: int, worker: Callable[..., None], arguments: tuple[object, ...], processes: int, rendezvous: str
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{rendezvous}', rank=index, world_size=processes)
    try:
        worker(Rank(index, processes), *arguments)
    finally:
        dist.destroy_process_group()
