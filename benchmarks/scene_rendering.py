"""Whether synthetic scenes are rendered as fast as a training step of the quickstart takes them in."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.quickstart import QUICKSTART
from benchmarks.report import Row, run
from pairlab.events import Metrics
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import load_experiment
from pairlab.experiment.jobs import DatasetReference, PretrainJob
from pairlab.pretraining import pretrain
from pairlab.scenes.measuring import build_index
from pairlab.scenes.synthetic import SyntheticSource

SIZES = (64, 128)
"""Of scenes and chips, pixels."""


def measure(quick: bool) -> Sequence[Row]:
    """Returns the rows of the table."""
    return rendering_rows(quick=quick)


def rendering_rows(*, quick: bool) -> list[Row]:
    """Returns how fast scenes are rendered, and what share of a training step's need that is."""
    rows = []
    _pairs_per_second(SIZES[0], pairs=64, steps=1, skip=1)  # PyTorch's first steps are its slowest
    for size in SIZES[:1] if quick else SIZES:
        rendered = _images_per_second(size, scenes=20 if quick else 300)
        steps = 2 if quick else 2560 // size
        # As few pairs as fill two steps are rendered at once; then the steps take their chips from memory.
        trained = _pairs_per_second(size, pairs=64, steps=steps, skip=2)
        both = _pairs_per_second(size, pairs=32 * (steps + 2), steps=steps, skip=2)
        against = f"{size} × {size} pixels, batches of 32 pairs"
        rows += [
            Row(f"rendering_{size}", rendered, "images/s", f"{size} × {size} pixels, one core", None),
            Row(f"training_{size}", trained, "pairs/s", f"{against}, chips from memory", None),
            Row(f"rendering_vs_training_{size}", rendered / (2 * trained), "of a step's need", against, 1.0),
            Row(f"training_while_rendering_{size}", both / trained, "of its speed", f"{against}, every chip new", None),
        ]
    return rows


def _images_per_second(size: int, *, scenes: int) -> float:
    """Returns how many images one thread renders, layouts included, none of them for the second time."""
    source = SyntheticSource(_dataset(size, scenes))
    began = time.perf_counter()
    for scene in source.scenes[:scenes]:
        for acquisition in scene.acquisitions:
            source.image(scene, acquisition)
    return 2 * scenes / (time.perf_counter() - began)


def _pairs_per_second(size: int, *, pairs: int, steps: int, skip: int) -> float:
    """Returns the speed of a real pretraining behind its first steps, which warm up."""
    job = _job(size, pairs=pairs, steps=steps + skip)
    assert isinstance(job.dataset.config, SyntheticDataset)
    source = SyntheticSource(job.dataset.config, draw=job.seed)
    chips = build_index(source).chips(size)
    times: list[float] = []
    with tempfile.TemporaryDirectory(prefix="pairlab-benchmark-") as folder:
        for event in pretrain(
            job,
            source,
            chips,
            folder=Path(folder),
            resume=None,
            should_stop=lambda: False,
            device=torch.device("cpu"),
        ):
            if isinstance(event, Metrics):
                times.append(time.perf_counter())
    return job.pretraining.batch_size * steps / (times[-1] - times[skip - 1])


def _dataset(size: int, scenes: int) -> SyntheticDataset:
    objects = (3, 7) if size == SIZES[0] else (12, 22)
    return SyntheticDataset(knobs={"size": size, "objects": objects}, train=scenes)


def _job(size: int, *, pairs: int, steps: int) -> PretrainJob:
    """Returns the pretraining of the quickstart's noisy arm."""
    experiment = load_experiment(QUICKSTART.read_text())
    content = experiment.model_dump(mode="json", exclude_unset=True)
    content |= {"seeds": [0], "chip_size": size, "pretraining": {**content["pretraining"], "steps": steps}}
    for arm in content["arms"].values():
        if "pairing" in arm:
            arm["pairing"]["pairs"] = pairs
    dataset = DatasetReference(name=experiment.dataset, config=_dataset(size, 2 * pairs), fingerprint="0" * 64)
    jobs = expand(type(experiment).model_validate(content), dataset)
    return [job.config for job in jobs if isinstance(job.config, PretrainJob)][-1]


if __name__ == "__main__":
    run("scene_rendering", measure)
