# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Train a pocket RoboPoint: views, perception stage, answer stage, checkpoint in the official layout."""

import json
import time
from pathlib import Path

import numpy as np
import torch

from affordance_ros.datasets.scene_views import ShardColumns, load_shards
from affordance_ros.training.loop import Losses, Progress, Rank, launch, make_optimizers, run_steps, save_state
from affordance_ros.training.pocket_data import TurnWriter, dense_labels, draw_views, pack_turns, pixels_of
from affordance_ros.training.pocket_net import PocketNet
from affordance_ros.training.recipes import PocketRecipe, Stage


class PocketRun:
    """One process of a run: the net, its data and where it stands."""

    def __init__(self, rank: Rank, recipe: PocketRecipe, out: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.rank, self.recipe, self.out = rank, recipe, out
        self.writer = TurnWriter((out / 'tokenizer.model').read_bytes())
        self.shards: list[ShardColumns] = load_shards(out / 'views')
        self.net = PocketNet(recipe, self.writer.vocabulary)
        self.progress = Progress()
        self.state = torch.load(out / 'state.pt', weights_only=True) if (out / 'state.pt').exists() else None
        if self.state:
            self.net.load_state_dict(self.state['net'])
            self.progress = Progress(self.state['stage'], self.state['step'])
        self.started = time.monotonic()

    def run(self) -> None:
        """Run what is left of both stages."""
        stages = {'perception': self.recipe.perception, 'answers': self.recipe.answers}
        for name, stage in stages.items():
            if self.progress.stage == name:
                self._stage(stage, resumed=self.state is not None and self.progress.step > 0)
                if name == 'perception':
                    self.progress = Progress('answers', 0)
                    self.state = None

    def _stage(self, stage: Stage, *, resumed: bool) -> None:
        answering = self.progress.stage == 'answers'
        fast = [self.net.projector, self.net.language] if answering else []
        optimizers = make_optimizers(self.net.perception, fast, stage)
        if resumed and self.state:
            for optimizer, state in zip(optimizers, self.state['optimizers'], strict=True):
                optimizer.load_state_dict(state)
        losses_of = self._answer_losses if answering else self._perception_losses

        def report(step: int, losses: Losses) -> None:
            if self.rank.index:
                return
            if step % 20 == 0 or step == stage.steps:
                self._log(step, losses)
            if step % self.recipe.save_every == 0 or step == stage.steps:
                done = step == stage.steps and not answering
                save_state(
                    self.out / 'state.pt', self.net, optimizers, Progress('answers', 0) if done else self.progress
                )

        run_steps(stage, self.progress, self.rank, (optimizers, losses_of, report), self.recipe.seed)

    def _perception_losses(self, _step: int, rng: np.random.Generator) -> Losses:
        views = draw_views(self.shards, self.recipe.perception.images, rng)
        with torch.autocast('cpu', torch.bfloat16):
            features = self.net.perception.features(pixels_of(views, rng))
        losses = self.net.perception.losses(features.float(), *dense_labels(views, self.recipe.tower))
        losses['loss'] = losses['parts'] + losses['colors'] + 0.1 * losses['votes']
        return losses

    def _answer_losses(self, step: int, rng: np.random.Generator) -> Losses:
        stage = self.recipe.answers
        frozen = step < stage.frozen_share * stage.steps
        views = draw_views(self.shards, stage.images, rng)
        batch = pack_turns(views, self.writer, self.recipe.tower, stage.turns, rng)
        with torch.autocast('cpu', torch.bfloat16):
            with torch.set_grad_enabled(not frozen):
                features = self.net.perception.features(pixels_of(views, rng))
            losses = self.net.answer_losses(features, batch, len(self.writer.head))
        losses['loss'] = losses['answer'] + 0.2 * losses['guide']
        if not frozen:
            dense = self.net.perception.losses(features.float(), *dense_labels(views, self.recipe.tower))
            losses |= {'parts': dense['parts'], 'hits': dense['hits']}
            losses['loss'] = losses['loss'] + 0.4 * (dense['parts'] + dense['colors']) + 0.05 * dense['votes']
        return losses

    def _log(self, step: int, losses: Losses) -> None:
        record = {'stage': self.progress.stage, 'step': step, 'seconds': round(time.monotonic() - self.started, 1)}
        values = {name: round(float(value.detach()), 4) for name, value in losses.items()}
        with (self.out / 'log.jsonl').open('a') as stream:
            stream.write(json.dumps(record | values) + '\n')


def _work(rank: Rank, recipe: PocketRecipe, out: Path) -> None:
    PocketRun(rank, recipe, out).run()


def train_pocket(recipe: PocketRecipe, out: Path, processes: int) -> None:
    """Run both stages on `out`/views with `out`/tokenizer.model; resumes from `out`/state.pt when it is there."""
    launch(_work, (recipe, out), processes, out / 'rendezvous')
