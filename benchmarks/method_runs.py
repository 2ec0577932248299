"""One small pretraining of each contrastive method, and the linear probe behind it, through the library alone."""

import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from pairlab.checkpoint import SavedFile
from pairlab.events import Finished, Saved
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import DatasetReference, PretrainJob, SegmentJob
from pairlab.experiment.methods import Method, trains_decoder
from pairlab.pretraining import pretrain
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.measuring import build_index
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.segmentation import segment

METHODS: tuple[str, ...] = tuple(TypeAdapter(Method).json_schema()["discriminator"]["mapping"])
RANDOM = {"encoder_decoder": "random initialisation, decoder", "encoder": "random initialisation, encoder"}
"""Baselines by what the probe stands on: the decoder's features, or all levels of the encoder."""
PAIRINGS: dict[str, dict[str, Any]] = {
    "same image": {"policy": "same_image"},
    "temporal, clean": {"policy": "temporal", "noise": {"rate": 0.0, "control": "rerender"}},
    "temporal, half noisy": {"policy": "temporal", "noise": {"rate": 0.5, "control": "rerender"}},
}
AUGMENTATION = {"brightness": 0.5, "contrast": 0.5, "saturation": 0.6, "hue": 0.2, "grayscale": 0.5, "blur": 0.2}
"""Of dense methods, as in experiments/quickstart.yaml: colours of objects are random, and must not tell places."""
GLOBAL_AUGMENTATION = {"brightness": 0.0, "contrast": 0.0, "grayscale": 1.0, "blur": 0.0, "crop_scale": [0.7, 1.0]}
"""Of methods of whole images: grey views, since colour alone would tell images apart, that share most of the ground.
The two dates differ in light already: with brightness and contrast 0.4 and blur 0.2 more, levels of random weights find
their place among 32 in 7 of 100 cases, without in 10."""
GLOBAL: dict[str, Any] = {"learning_rate": 1e-3, "augmentation": GLOBAL_AUGMENTATION}
PRETRAINING: dict[str, dict[str, Any]] = {
    "pixel_infonce": {"steps": 150, "augmentation": AUGMENTATION},
    "densecl": {"steps": 200, "augmentation": AUGMENTATION},
    "pixpro": {"steps": 200, "augmentation": AUGMENTATION},
    "vicregl": {"steps": 200, "augmentation": AUGMENTATION},
    "simclr": {"steps": 150, **GLOBAL},
    "moco": {"steps": 200, **GLOBAL},
    "byol": {"steps": 250, **GLOBAL},
    "simsiam": {"steps": 250, **GLOBAL},
    "vicreg": {"steps": 150, **GLOBAL},
    "barlow_twins": {"steps": 300, **GLOBAL},
    "seco": {"steps": 250, **GLOBAL},
}
"""Where a method's pretraining differs from the defaults and from `Size`; its own fields are at their defaults."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is computed for a cell of the table."""

    steps: int | None = None
    """Of pretraining; None takes each method's of PRETRAINING."""
    batch_size: int = 32
    pairs: int = 1000
    probe_steps: int = 150
    dataset: SyntheticDataset = field(default_factory=SyntheticDataset)


QUICK = Size(steps=2, batch_size=4, pairs=20, probe_steps=2, dataset=SyntheticDataset(train=48, validation=4, test=6))


def probed(method: str, pairing: str, *, seed: int, size: Size) -> float:
    """Returns the test mIoU, in points, of a linear probe on a network that a method pretrained; or on a random one.

    Args:
        method: its name, with its defaults; or one of RANDOM.
        pairing: one of PAIRINGS; of no matter for RANDOM.
        seed: of scenes, pairs, weights and labelled chips.
        size: how much is computed.
    """
    jobs = [job.config for job in expand(experiment(method, pairing, seed=seed, size=size), _reference(size))]
    pretrained = method not in RANDOM.values()
    source, index = _scenes(size.dataset.model_dump_json(), seed)
    device, weights = torch.device("cpu"), None
    with tempfile.TemporaryDirectory() as folder:
        if pretrained:
            job = next(each for each in jobs if isinstance(each, PretrainJob))
            events = pretrain(
                job,
                source,
                index,
                folder=Path(folder),
                resume=None,
                should_stop=_never,
                device=device,
                loader_workers=1,
                map_moments=0,
            )
            for event in events:
                if isinstance(event, Saved) and event.kind == "weights":
                    weights = SavedFile(event.path, event.sha256)
        probe = next(
            each for each in jobs if isinstance(each, SegmentJob) and (each.pretrain is not None) == pretrained
        )
        *_, last = segment(
            probe, source, index, folder=Path(folder), weights=weights, should_stop=_never, device=device
        )
    assert isinstance(last, Finished)
    return 100 * float(last.results["protocols"]["linear_probe"]["test"]["miou"])


def settings(method: str, pairing: str, *, seed: int, size: Size) -> dict[str, Any]:
    """Returns all that `probed` runs with, as JSON; of random weights what they share with no method is left out."""
    whole = experiment(method, pairing, seed=seed, size=size).model_dump(mode="json")
    if method in RANDOM.values():
        del whole["method"], whole["pretraining"], whole["arms"]
    return {**whole, "dataset": size.dataset.model_dump(mode="json")}


def transferred(method: str) -> str:
    """Returns what a method hands on, and the probe stands on: one of RANDOM's keys, the product's own choice."""
    dense = trains_decoder(TypeAdapter[Method](Method).validate_python({"name": method}))
    return "encoder_decoder" if dense else "encoder"


def experiment(method: str, pairing: str, *, seed: int, size: Size) -> Experiment:
    """Returns the experiment of a method, or of one of RANDOM, beside random weights."""
    transfer = next((key for key, name in RANDOM.items() if name == method), None)
    name = "simclr" if transfer else method
    steps = {} if size.steps is None else {"steps": size.steps}
    return Experiment.model_validate(
        {
            "name": "methods",
            "dataset": "synthetic",
            "labels": {"scheme": "intact_damaged", "train_chips": 16},
            "method": {"name": name},
            "network": {"decoder_channels": 128},
            "transfer": transfer or transferred(name),
            "pretraining": {"batch_size": size.batch_size, **PRETRAINING[name], **steps},
            "arms": {
                "random": {"baseline": "random_initialisation"},
                "pretrained": {"pairing": {**PAIRINGS[pairing], "pairs": size.pairs}},
            },
            "reference": "pretrained",
            "seeds": [seed],
            "protocols": [
                {"name": "linear_probe", "steps": size.probe_steps, "evaluate_every": size.probe_steps},
            ],
        }
    )


def _reference(size: Size) -> DatasetReference:
    return DatasetReference(name="synthetic", config=size.dataset, fingerprint="0" * 64)


@cache
def _scenes(dataset: str, seed: int) -> tuple[SyntheticSource, ChipIndex]:
    source = SyntheticSource(SyntheticDataset.model_validate_json(dataset), draw=seed)
    return source, build_index(source).chips(64)


def _never() -> bool:
    return False
