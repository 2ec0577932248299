"""One pretraining run on its device: what it holds, how it takes a step, and what a checkpoint keeps of it."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pairlab.checkpoint import Checkpoint, SavedFile, save_checkpoint
from pairlab.diagnostics.watched_passes import WatchedPasses
from pairlab.engine.compiling import translated, worth_trying
from pairlab.engine.divergence import SMALLEST_SCALE, check_all_finite, check_finite, gradient_norm
from pairlab.engine.optimisation import build_optimizer, set_learning_rate
from pairlab.engine.parts import Parts
from pairlab.engine.passes import Passes, WholeBatch
from pairlab.engine.shares import Shares
from pairlab.engine.team import Team
from pairlab.events import Saved
from pairlab.experiment.initial import initial_in_words
from pairlab.experiment.jobs import PretrainJob, job_key
from pairlab.initial_weights import load_initial
from pairlab.networks import MapAndLevels, PooledLevels, build_network, pooled
from pairlab.objectives.building import build_learner, build_objective
from pairlab.pairing.pair import PairList
from pairlab.precision import PrecisionName, chosen_precision, resumed_precision
from pairlab.scenes.scene import SceneSource
from pairlab.views.batches import PairBatch, PairBatches
from pairlab.views.crossing import crossed_views
from pairlab.views.pixels import render_views


class Figures(NamedTuple):
    """What a step tells of itself."""

    loss: float
    gradient_norm: float
    """Of all trained parameters together, before the step; infinite where float16 overflowed and the step was left
    out."""


class Run:
    """Network, heads and optimizer of one run on its device."""

    def __init__(
        self,
        config: PretrainJob,
        source: SceneSource,
        pairs: PairList,
        *,
        device: torch.device,
        team: Team,
        checkpoint: Checkpoint | None = None,
        initial: SavedFile | None = None,
    ) -> None:
        """Builds everything, with the state of a checkpoint of the same job where one is given.

        Raises:
            NetworkError, InitialWeightsError, PrecisionError, CheckpointError: the job cannot run as asked.
        """
        training = config.pretraining
        self.config, self.device, self.team = config, device, team
        if device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # shapes stay the same all run long
        self.source, self.pairs = source, pairs
        self.warnings: list[str] = []
        """What the owner should know of how the run begins."""
        self.precision = chosen_precision(device, training.precision)
        if checkpoint is not None:
            made_in: PrecisionName = checkpoint.facts["precision"]
            self.precision = resumed_precision(device, training.precision, made_in)
            if self.precision.name != made_in:
                self.warnings.append(
                    f"the checkpoint was made in {made_in}, which {device} does not compute in: the run goes on in "
                    f"{self.precision.name}"
                )
        self.parts = training.parts
        self.bands = source.bands
        self.network = build_network(config.network, seed=config.seed, bands=len(self.bands), size=config.chip_size)
        # Before the objective, whose momentum copy starts as the network does. A checkpoint brings its own weights.
        self.loaded = (
            load_initial(config.initial, self.network, file=initial)
            if checkpoint is None
            else {"initial": initial_in_words(config.initial)}
        )
        self.learner = build_learner(config.method, self.network, size=config.chip_size)
        """What images go through on their way to the method."""
        self.objective = build_objective(config.method, self.learner, seed=config.seed)
        self.trained = nn.ModuleDict({"network": self.network, "objective": self.objective})
        self.trained.to(device).to(memory_format=self.precision.memory_format)
        self.optimizer = build_optimizer(self.trained, training, constant=self.objective.constant_rate())
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision.scaled)
        self.batches = self.batches_of(training.batch_size)
        self._forward: nn.Module = self.learner
        self.step = 0
        """Steps that are done."""
        self.pooled: Tensor | None = None
        """Of the last step's images, (images, channels), if it was watched."""
        if checkpoint is not None:
            self._take_over(checkpoint)
        self._translate(None if checkpoint is None else bool(checkpoint.facts["compiled"]))

    @property
    def compiled(self) -> bool:
        """Whether images go through a translated network; its weights and their keys are the network's own."""
        return self._forward is not self.learner

    @property
    def shown(self) -> nn.Module:
        """What embedding maps show: the decoder's features, or the encoder's levels where it learns alone."""
        return self.learner.pyramid if isinstance(self.learner, PooledLevels) else self.network

    def views(self, batch: PairBatch) -> Tensor:
        """Returns the views of a batch as the network takes them, on the device."""
        given = batch.chips, batch.views, batch.factors
        if self.objective.crossed:
            given = crossed_views(*given, shift=batch.shift)
        views = render_views(*given, bands=self.bands, device=self.device)
        return views.contiguous(memory_format=self.precision.memory_format)

    def optimize(self, batch: PairBatch, views: Tensor, *, watched: bool = False) -> Figures:
        """Takes one step; a watched one leaves the network's pooled features in `pooled`.

        Raises:
            DivergedError: loss or gradients are not finite; no weight was changed.
            NothingToMatch: the batch has too little to compare.
        """
        self.trained.train()
        set_learning_rate(self.optimizer, batch.step, self.config.pretraining)
        self.optimizer.zero_grad(set_to_none=True)
        passes = WatchedPasses(self._passes(batch), pooled=self._pooled) if watched else self._passes(batch)
        with self.precision.context():
            loss = self.objective.loss(passes, views, batch)
        passes.backward(self.scaler.scale(loss))
        self.pooled = passes.pooled if isinstance(passes, WatchedPasses) else None
        self.scaler.unscale_(self.optimizer)
        norm = gradient_norm(each.grad for each in self.trained.parameters() if each.grad is not None)
        figures = Figures(*torch.stack([loss.detach().float(), norm.float()]).tolist())  # the device is waited for once
        step = batch.step + 1
        check_finite("loss", figures.loss, self.config, step=step)
        if not self.precision.scaled or self.scaler.get_scale() < SMALLEST_SCALE:
            check_finite("gradient", figures.gradient_norm, self.config, step=step)
        self.scaler.step(self.optimizer)  # leaves the step out where float16 overflowed, and lowers the scale
        self.scaler.update()
        self.objective.after_step(self.learner, step=batch.step, total=self.config.pretraining.steps)
        self.step = step
        return figures

    def _translate(self, before: bool | None) -> None:
        """Translates the network where the job asks for it, or by itself where it pays; a resumed run keeps its way."""
        training, wanted = self.config.pretraining, self.config.pretraining.compile
        if wanted == "never" or before is False:
            return
        if wanted == "auto" and not before and not worth_trying(self.device, steps_left=training.steps):
            return
        if self.parts > 1:
            if wanted == "always":
                self.warnings.append("a network is not compiled that images go through in parts")
            return
        size = self.config.chip_size
        images = torch.zeros(2 * training.batch_size, len(self.bands), size, size, device=self.device)
        self._forward, failure = translated(
            self.learner.train(),
            images.contiguous(memory_format=self.precision.memory_format),
            context=self.precision.context,
            if_quicker=wanted == "auto" and not before,
        )
        if failure:
            self.warnings.append(f"torch.compile failed, and the network runs as it is ({failure})")

    def _pooled(self, features: Tensor) -> Tensor:
        """Returns the features of the network's passes, averaged over their positions: (images, channels)."""
        return pooled(self.learner.layout.split(features)[0] if isinstance(self.learner, MapAndLevels) else features)

    def _passes(self, batch: PairBatch) -> Passes:
        if self.parts == 1:
            return WholeBatch(self._forward)
        return Parts(
            self.learner,
            self._shares(len(batch.valid)),
            self.team,
            heads=self.objective,
            context=self.precision.context,
            key=(self.config.seed, batch.step),
        )

    def _shares(self, pairs: int) -> Shares:
        return Shares(pairs, self.parts, self.team.size)

    def checkpoint(self, folder: Path) -> Saved:
        """Writes everything the run needs to go on from where it is.

        Raises:
            DivergedError: a weight is not finite; nothing was written.
            CheckpointError: it cannot be written.
        """
        state = self.trained.state_dict()
        check_all_finite(state.values(), self.config, step=self.step)
        path = folder / f"checkpoint-{self.step:08d}.safetensors"
        sha256 = save_checkpoint(
            path,
            state={"trained": state, "optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()},
            step=self.step,
            facts={"job": job_key(self.config), "precision": self.precision.name, "compiled": self.compiled},
        )
        return Saved(kind="checkpoint", step=self.step, path=path, sha256=sha256, details={})

    def _take_over(self, checkpoint: Checkpoint) -> None:
        state = checkpoint.state
        self.trained.load_state_dict(state["trained"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"] and self.precision.scaled:
            self.scaler.load_state_dict(state["scaler"])
        self.step = checkpoint.step

    def forget_step(self) -> None:
        """Lets go of what the last step left in memory."""
        self.optimizer.zero_grad(set_to_none=True)
        self.pooled = self.objective.compared = None

    def batches_of(self, size: int) -> PairBatches:
        """Returns the batches of the run if it had so many pairs in a step."""
        objective, training = self.objective, self.config.pretraining
        return PairBatches(
            self.source,
            self.pairs,
            training.model_copy(update={"batch_size": size}),
            seed=self.config.seed,
            grid=self.config.chip_size // objective.grid_stride,
            points=objective.points,
            change_weight=objective.change_weight,
            cells=objective.cells,
            tolerance=objective.tolerance,
            reach=objective.reach,
            share=self._shares(size).pairs_of(self.team.rank),
        )
