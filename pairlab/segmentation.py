"""The downstream loop: linear probe and fine-tuning on few labels, evaluated on whole scenes."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import crc32

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from pairlab.checkpoint import SavedFile, load_weights
from pairlab.events import Event, Finished, Metrics, Saved, Started
from pairlab.experiment.expansion import SegmentJob
from pairlab.experiment.network import Transfer
from pairlab.experiment.protocols import FineTuning, LabelScheme, LinearProbe
from pairlab.initial_weights import load_encoder, load_initial
from pairlab.metrics import confusion_counts, iou_from_counts, mean_iou, xview2_score
from pairlab.networks import DenseNetwork, EncoderPyramid, LinearHead, build_network, joined
from pairlab.precision import Precision, best_precision
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.scene import IGNORE, Pixels, Scene, SceneSource, UInt8Array
from pairlab.scenes.splits import assign_splits
from pairlab.views.pixels import standardise, to_unit_range

VALIDATION_PREDICTIONS = 6
"""Validation scenes whose prediction is kept at every evaluation, so that overlays evolve."""
TEST_PREDICTIONS = 32
METRIC_POINTS = 40
PIXELS_PER_BATCH = 1 << 20
"""Pixels predicted at once."""
SIZE_MULTIPLE = 32
"""Height and width that encoders take are multiples of it; scenes of another size are padded for them."""


class SegmentationError(ValueError):
    """A segmentation that cannot run as asked; the message holds the numbers."""


def segment(
    config: SegmentJob,
    source: SceneSource,
    index: ChipIndex,
    *,
    folder: Path,
    weights: SavedFile | None,
    initial: SavedFile | None = None,
    should_stop: Callable[[], bool],
    device: torch.device,
) -> Iterator[Event]:
    """Yields what happens while the network learns to segment, protocol by protocol, from `Started` to `Finished`.

    Every protocol starts from the same weights and the same labelled chips; test scenes are predicted once, at its end.

    Args:
        config: the resolved job.
        source: its dataset, opened with draw = config.seed.
        index: the chips, at config.chip_size, of the scenes that take part.
        folder: where predictions and results are written.
        weights: the pretraining's weights; None starts from `config.initial`.
        initial: the file that `config.initial` names, where it names one.
        should_stop: asked after every step; True ends the run.
        device: where to train.

    Raises:
        SceneError, NetworkError, CheckpointError, InitialWeightsError, SegmentationError: the job cannot run as asked.
    """
    task = _Task.prepare(config, source, index)
    precision = best_precision(device)
    total = sum(protocol.steps for protocol in config.protocols)
    facts = {
        "device": str(device),
        "precision": str(precision),
        "labelled_chips": len(task.targets),
        "labelled_pixels": dict(zip(task.classes, _class_pixels(task.targets, len(task.classes)), strict=True)),
    }
    network, loaded = _network(config, len(source.bands), weights, initial)
    yield Started(step=0, total_steps=total, facts=facts | loaded)
    results: dict[str, Any] = {}
    counts: dict[str, Any] = {}
    began, first_step = time.perf_counter(), 0
    for protocol in config.protocols:
        network, _ = _network(config, len(source.bands), weights, initial)
        run = _ProtocolRun(config, protocol, task, network, precision)
        protocol_began = time.perf_counter()
        for step in range(1, protocol.steps + 1):
            loss = run.optimize(step - 1)
            done = first_step + step
            if step == 1 or step % max(1, protocol.steps // METRIC_POINTS) == 0:
                left = (time.perf_counter() - began) / done * (total - done)
                yield Metrics(step=done, values={f"{protocol.name}/loss": loss}, seconds_left=left)
            if step % protocol.evaluate_every == 0 or step == protocol.steps:
                validation = run.evaluate("validation")
                yield Metrics(step=done, values=_validation_metrics(protocol.name, validation))
                yield from _predictions(validation, run, folder, step=done, limit=VALIDATION_PREDICTIONS, final=False)
            if should_stop():
                yield Finished(step=done, results={}, stopped=True)
                return
        first_step += protocol.steps
        test = run.evaluate("test")
        yield from _predictions(test, run, folder, step=first_step, limit=TEST_PREDICTIONS, final=True)
        results[protocol.name] = {
            "test": test.summary(),
            "validation": validation.summary(),
            "seconds": time.perf_counter() - protocol_began,
        }
        counts[protocol.name] = {
            scene.name: each.tolist() for scene, each in zip(test.scenes, test.counts, strict=True)
        }
    yield _save_results(folder, total, {"classes": task.classes, "protocols": results, "test_scene_counts": counts})
    yield Finished(step=total, results={"classes": list(task.classes), "protocols": results})


def _network(
    config: SegmentJob, bands: int, weights: SavedFile | None, initial: SavedFile | None
) -> tuple[DenseNetwork, dict[str, Any]]:
    """Returns the network as a protocol starts with it, and what was loaded."""
    network = build_network(config.network, seed=config.seed, bands=bands, size=config.chip_size)
    if weights is None:
        part: Transfer | None = "encoder" if config.transfer == "encoder" else None
        return network, load_initial(config.initial, network, file=initial, part=part)
    if config.transfer == "encoder":
        load_encoder(network, weights, said="pretraining it starts from")
    else:
        load_weights(weights.path, network, sha256=weights.sha256)
    return network, {"transfer": config.transfer}


@dataclass(frozen=True)
class _Task:
    """The labelled chips of a job and the scenes it is judged by."""

    source: SceneSource
    classes: tuple[str, ...]
    acquisition: str
    images: Pixels
    """Labelled chips, shape (chips, size, size, bands)."""
    targets: UInt8Array
    """Their classes, shape (chips, size, size)."""
    splits: Mapping[str, tuple[Scene, ...]]

    @classmethod
    def prepare(cls, config: SegmentJob, source: SceneSource, index: ChipIndex) -> "_Task":
        assigned = assign_splits(index.scenes, config.splits)
        acquisition = index.scenes[0].acquisitions[-1]
        train = index.of_scenes({name for name, split in assigned.items() if split == "train"})
        images: list[Pixels] = []
        targets: list[UInt8Array] = []
        for row in labelled_chips(train, config.labels.train_chips, seed=config.seed, spare=True):
            scene = train.scenes[train.scene[row]]
            window = np.s_[
                train.y[row] : train.y[row] + config.chip_size, train.x[row] : train.x[row] + config.chip_size
            ]
            target = label_mask(config, source, scene, acquisition)[window]
            if (target == IGNORE).all():
                continue  # nobody labelled it
            images.append(source.image(scene, acquisition)[window])
            targets.append(target)
            if len(targets) == config.labels.train_chips:
                break
        else:
            raise SegmentationError(
                f"labels.train_chips asks for {config.labels.train_chips} labelled chips; the train split has "
                f"{len(targets)} with labels of {acquisition}"
            )
        task_scenes = {
            split: tuple(scene for scene in index.scenes if assigned[scene.name] == split)
            for split in ("validation", "test")
        }
        classes = source.classes(config.labels.scheme, unclassified=config.labels.unclassified)
        return cls(source, classes, acquisition, np.stack(images), np.stack(targets), task_scenes)


def labelled_chips(train: ChipIndex, count: int, *, seed: int, spare: bool = False) -> NDArray[np.intp]:
    """Returns the rows of the chips whose labels may be learned from, nested: fewer chips are a part of more.

    Half of them show relevant change as far as there are such chips, then come chips with objects, then any, so that
    rare classes are not left out of small budgets.

    Args:
        train: the chips of the train split.
        count: how many.
        seed: of their order.
        spare: return all chips behind them as well, for those that turn out to have no label.

    Raises:
        SegmentationError: there are fewer chips with data.
    """
    valid = np.flatnonzero(train.valid_pixels > 0)
    if count > len(valid):
        raise SegmentationError(
            f"labels.train_chips asks for {count} labelled chips; the train split has {len(valid)} with data"
        )
    order = np.random.default_rng([seed, crc32(b"labels")]).permutation(valid)
    changed = [row for row in order if train.changed_pixels[row] > 0]
    others = [row for row in order if train.changed_pixels[row] == 0 and train.object_pixels[row] > 0]
    empty = [row for row in order if train.object_pixels[row] == 0]
    both = min(len(changed), len(others))
    alternating = [row for pair in zip(changed[:both], others[:both], strict=True) for row in pair]
    return np.array([*alternating, *changed[both:], *others[both:], *empty][: None if spare else count], dtype=np.intp)


class _ProtocolRun:
    """One protocol: network, head, optimizer, and its batches, keyed by the step."""

    def __init__(
        self,
        config: SegmentJob,
        protocol: LinearProbe | FineTuning,
        task: _Task,
        network: DenseNetwork,
        precision: Precision,
    ) -> None:
        self.config, self.protocol, self.task, self.precision = config, protocol, task, precision
        probes_encoder = isinstance(protocol, LinearProbe) and config.transfer == "encoder"
        extractor: DenseNetwork | EncoderPyramid = (
            EncoderPyramid(network, bands=len(task.source.bands), size=config.chip_size) if probes_encoder else network
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            head = LinearHead(extractor.channels, len(task.classes))
        self.network = extractor.to(precision.device).to(memory_format=precision.memory_format)
        self.head = head.to(precision.device)
        self.targets = torch.from_numpy(task.targets).long().to(precision.device)
        self.frozen: list[Tensor] | None = None
        """The features of all labelled chips, level by level."""
        if isinstance(protocol, LinearProbe):
            self._take_statistics()
            self.network.eval().requires_grad_(False)
            parts = [self._levels(images) for images in np.array_split(task.images, _parts(task.images))]
            self.frozen = [torch.cat(level) for level in zip(*parts, strict=True)]
            self.head.standardise(self.frozen)
            self.optimizer = torch.optim.AdamW(self.head.parameters(), lr=protocol.learning_rate, weight_decay=0.0)
        else:
            trained = [*self.network.parameters(), *self.head.parameters()]
            self.optimizer = torch.optim.AdamW(trained, lr=protocol.learning_rate, weight_decay=protocol.weight_decay)

    def optimize(self, step: int) -> float:
        """Takes one step (from 0) and returns its loss: a half cosine of the learning rate, flips for fine-tuning."""
        rng = np.random.default_rng([self.config.seed, crc32(self.protocol.name.encode()), step])
        size = min(self.protocol.batch_size, len(self.targets))
        chosen = rng.choice(len(self.targets), size=size, replace=False)
        target = self.targets[torch.from_numpy(chosen)]
        for group in self.optimizer.param_groups:
            group["lr"] = self.protocol.learning_rate * 0.5 * (1 + math.cos(math.pi * step / self.protocol.steps))
        if self.frozen is not None:
            features = joined([level[torch.from_numpy(chosen)] for level in self.frozen])
        else:
            self.network.train()
            turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
            target = _turned(target, turns, mirror)
            features = joined(self._levels(self.task.images[chosen], turns=turns, mirror=mirror))
        loss = functional.cross_entropy(
            self.head(features, size=(target.shape[1], target.shape[2])), target, ignore_index=IGNORE, reduction="sum"
        ) / (target != IGNORE).sum().clamp(min=1)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return float(loss.detach())

    @torch.inference_mode()
    def evaluate(self, split: str) -> "_Evaluation":
        """Returns predictions and confusion counts of all scenes of a split, each predicted whole."""
        self.network.eval()
        scenes = self.task.splits[split]
        predictions: list[UInt8Array] = []
        for batch in _batches(scenes):
            images = np.stack([self.task.source.image(scene, self.task.acquisition) for scene in batch])
            height, width = images.shape[1:3]
            down, across = -height % SIZE_MULTIPLE, -width % SIZE_MULTIPLE
            images = np.pad(images, ((0, 0), (0, down), (0, across), (0, 0)), mode="edge")
            logits = self.head(joined(self._levels(images)), size=(height + down, width + across))[..., :height, :width]
            predictions.extend(logits.argmax(dim=1).to(torch.uint8).cpu().numpy())
        counts = []
        for scene, prediction in zip(scenes, predictions, strict=True):
            target = label_mask(self.config, self.task.source, scene, self.task.acquisition)
            counts.append(confusion_counts(prediction, target, num_classes=len(self.task.classes), ignore_index=IGNORE))
        return _Evaluation(split, scenes, predictions, counts, self.task.classes, self.config.labels.scheme)

    def _take_statistics(self) -> None:
        """Gives batch norms the statistics of the labelled chips, so that all frozen networks are probed alike.

        Without any, random weights hand activations on in whatever scale they come, and would lose to pretrained ones
        by that alone: 14 points of mIoU on the levels of a ResNet. Pretrained ones have those of augmented views, which
        cost 7 to 10 points where all views were grey.
        """
        images = self.task.images.repeat(2 if len(self.task.images) == 1 else 1, axis=0)  # one chip may be one value
        batches = (self._as_fed(part) for part in np.array_split(images, _parts(images)))
        with torch.random.fork_rng(), torch.no_grad(), self.precision.context():
            torch.manual_seed(self.config.seed)
            update_bn(batches, self.network)

    def _as_fed(self, images: Pixels, *, turns: int = 0, mirror: bool = False) -> Tensor:
        """Returns images (batch, height, width, bands) as the network takes them."""
        tensor = torch.from_numpy(images).to(self.precision.device).permute(0, 3, 1, 2)
        tensor = _turned(standardise(to_unit_range(tensor, self.task.source.bands)), turns, mirror)
        return tensor.contiguous(memory_format=self.precision.memory_format)

    def _levels(self, images: Pixels, *, turns: int = 0, mirror: bool = False) -> list[Tensor]:
        """Returns float32 features of images (batch, height, width, bands), level by level; a decoder has one."""
        with self.precision.context():
            features = self.network(self._as_fed(images, turns=turns, mirror=mirror))
        levels = [features] if isinstance(features, Tensor) else features
        return [torch.as_tensor(level, dtype=torch.float32) for level in levels]


@dataclass(frozen=True)
class _Evaluation:
    """Predictions of one split."""

    split: str
    scenes: tuple[Scene, ...]
    predictions: list[UInt8Array]
    counts: list[NDArray[np.int64]]
    """Per scene, confusion counts (target, prediction)."""
    classes: tuple[str, ...]
    scheme: LabelScheme

    def summary(self) -> dict[str, Any]:
        """Returns mIoU, IoU per class and, of damage levels, the xView2 score, from the counts of all scenes."""
        total = np.sum(self.counts, axis=0)
        figures = {
            "miou": _finite(mean_iou(total)),
            "iou": self.named(iou_from_counts(total)),
            "confusion": total.tolist(),
            "scenes": len(self.scenes),
        }
        return {**figures, "xview2": self._xview2(total)} if self.scheme == "damage_levels" else figures

    def _xview2(self, total: NDArray[np.int64]) -> dict[str, Any]:
        score = xview2_score(total)
        return {
            "score": score.score,
            "localisation_f1": score.localisation_f1,
            "damage_f1": score.damage_f1,
            "f1": dict(zip(self.classes[1:5], score.per_level, strict=True)),
        }

    def named(self, iou: NDArray[np.float64]) -> dict[str, float | None]:
        """Returns IoU by class name, None where the class is absent."""
        return {name: _finite(value) for name, value in zip(self.classes, iou, strict=True)}


def label_mask(config: SegmentJob, source: SceneSource, scene: Scene, acquisition: str) -> UInt8Array:
    """Returns the job's target for a scene."""
    return source.mask(scene, acquisition, config.labels.scheme, unclassified=config.labels.unclassified)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _parts(images: Pixels) -> int:
    return max(1, math.ceil(images[..., 0].size / PIXELS_PER_BATCH))


def _batches(scenes: tuple[Scene, ...]) -> Iterator[list[Scene]]:
    """Yields scenes of one size together, at most PIXELS_PER_BATCH pixels unless a single one has more."""
    batch: list[Scene] = []
    for scene in scenes:
        size = (scene.height, scene.width)
        full = (len(batch) + 1) * scene.height * scene.width > PIXELS_PER_BATCH
        if batch and (full or size != (batch[0].height, batch[0].width)):
            yield batch
            batch = []
        batch.append(scene)
    if batch:
        yield batch


def _turned(tensor: Tensor, turns: int, mirror: bool) -> Tensor:
    """Returns the last two axes turned by quarter turns and mirrored."""
    turned = torch.rot90(tensor, turns, dims=(-2, -1))
    return turned.flip(-1) if mirror else turned


def _class_pixels(targets: UInt8Array, classes: int) -> list[int]:
    return [int(count) for count in np.bincount(targets.ravel(), minlength=IGNORE + 1)[:classes]]


def _validation_metrics(protocol: str, validation: _Evaluation) -> dict[str, float]:
    summary = validation.summary()
    values = {f"{protocol}/miou": summary["miou"]}
    values |= {f"{protocol}/iou/{name}": value for name, value in summary["iou"].items()}
    return {key: value for key, value in values.items() if value is not None}


def _predictions(
    evaluation: _Evaluation, run: _ProtocolRun, folder: Path, *, step: int, limit: int, final: bool
) -> Iterator[Saved]:
    """Yields the predictions of the first scenes of a split, written as class-index PNGs."""
    target = folder / "predictions" / run.protocol.name / f"{step:08d}"
    target.mkdir(parents=True, exist_ok=True)
    shown = zip(evaluation.scenes[:limit], evaluation.predictions, evaluation.counts, strict=False)
    for scene, prediction, counts in shown:
        _, encoded = cv2.imencode(".png", prediction)
        content = encoded.tobytes()
        path = target / f"{scene.name}.png"
        path.write_bytes(content)
        details = {
            "scene": scene.name,
            "split": evaluation.split,
            "protocol": run.protocol.name,
            "acquisition": run.task.acquisition,
            "final": final,
            "iou": evaluation.named(iou_from_counts(counts)),
        }
        yield Saved(kind="prediction", step=step, path=path, sha256=sha256(content).hexdigest(), details=details)


def _save_results(folder: Path, step: int, results: Mapping[str, Any]) -> Saved:
    content = json.dumps(results).encode()
    path = folder / "results.json"
    path.write_bytes(content)
    return Saved(kind="results", step=step, path=path, sha256=sha256(content).hexdigest(), details={})
