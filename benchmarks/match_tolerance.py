"""Match tolerance: what a radius and a coarser grid do for the temporal arm on real, misaligned xBD chips.

Images of two dates are offset by some pixels, so that pixel InfoNCE at stride 4 often matches two different things. The
tiles are read from the folder that PAIRLAB_XBD_SAMPLE names. No bar: few tiles and a short training show a direction at
most, and the spread over seeds stands beside each mean.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import Row, run
from pairlab.checkpoint import SavedFile
from pairlab.events import Finished, Metrics, Saved
from pairlab.experiment.datasets import XbdDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import DatasetReference, PretrainJob, SegmentJob
from pairlab.pretraining import pretrain
from pairlab.scenes.dataset import selected
from pairlab.scenes.measuring import build_index
from pairlab.scenes.xbd import XbdSource, open_xbd
from pairlab.segmentation import segment

SAMPLE = Path(os.environ.get("PAIRLAB_XBD_SAMPLE", Path(__file__).parents[1] / ".." / "shared" / "xbd_sample"))
DATASET = DatasetReference(name="tiles", config=XbdDataset(root="tiles"), fingerprint="0" * 64)
SEEDS = (0, 1, 2)
BASELINE, REFERENCE = "random initialisation", "temporal: stride 4, exact"
METHODS: dict[str, dict[str, Any]] = {
    REFERENCE: {},
    "temporal: stride 4, 8 px": {"match_tolerance_px": 8},
    "temporal: stride 16, exact": {"grid_stride": 16},
    "same image: stride 4, exact": {},
}
"""The arms, and what each changes of pixel InfoNCE."""
QUICK_EVENT = "hurricane-michael"
LAST = 10
"""Losses that a final loss is the mean of."""
CPU = torch.device("cpu")


def measure(quick: bool) -> Sequence[Row]:
    """Returns the rows of the table."""
    if not (SAMPLE / "test").is_dir():
        raise SystemExit(f"there are no xBD tiles in {SAMPLE}: set PAIRLAB_XBD_SAMPLE to the folder that holds test/")
    source = open_xbd(SAMPLE, damage_from="minor-damage")
    with tempfile.TemporaryDirectory(prefix="pairlab-benchmark-") as folder:
        losses, scores = _trained(_experiment(quick), source, Path(folder))
    rows = []
    for arm, values in scores.items():
        rows.append(Row(f"probe mIoU, {arm}", statistics.mean(values), "points", _spread(values), bar=None))
        if arm not in (BASELINE, REFERENCE):
            gains = [one - other for one, other in zip(values, scores[REFERENCE], strict=True)]
            rows.append(Row("… beside stride 4, exact", statistics.mean(gains), "points", _spread(gains), bar=None))
    return rows + [
        Row(f"final loss, {arm}", statistics.mean(values), "nats", _spread(values), bar=None)
        for arm, values in losses.items()
    ]


def _spread(values: Sequence[float]) -> str:
    return f"{len(values)} seeds: {', '.join(f'{value:.2f}' for value in values)}"


def _trained(
    experiment: Experiment, source: XbdSource, folder: Path
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Returns the final losses and the probe's mIoU of each arm, by seed: each loss the mean of the last few told."""
    index = selected(build_index(source), experiment.scenes).chips(experiment.chip_size)
    losses: dict[str, list[float]] = {}
    scores: dict[str, list[float]] = {}
    weights: dict[str, SavedFile] = {}
    for job in expand(experiment, DATASET):
        arm, place = job.uses[0][0], folder / job.key
        place.mkdir()
        began = time.monotonic()
        if isinstance(job.config, PretrainJob):
            run_of_it = pretrain(
                job.config,
                source,
                index,
                folder=place,
                resume=None,
                should_stop=lambda: False,
                device=CPU,
                map_moments=0,
            )
            events = list(run_of_it)
            saved = next(event for event in events if isinstance(event, Saved) and event.kind == "weights")
            weights[job.key] = SavedFile(saved.path, saved.sha256)
            told = [event.values["loss"] for event in events if isinstance(event, Metrics) and "loss" in event.values]
            found = statistics.mean(told[-LAST:])
            losses.setdefault(arm, []).append(found)
        else:
            assert isinstance(job.config, SegmentJob)
            start = None if job.depends_on is None else weights[job.depends_on]
            run_of_it = segment(
                job.config, source, index, folder=place, weights=start, should_stop=lambda: False, device=CPU
            )
            (end,) = (event for event in run_of_it if isinstance(event, Finished))
            found = 100 * end.results["protocols"]["linear_probe"]["test"]["miou"]
            scores.setdefault(arm, []).append(found)
        seconds = time.monotonic() - began
        print(f"{arm}, seed {job.config.seed}: {job.config.kind} {found:.2f} in {seconds:.0f} s", file=sys.stderr)
    return losses, scores


def _experiment(quick: bool) -> Experiment:
    pairs = 200 if quick else 1200
    temporal, same = ({"policy": policy, "pairs": pairs} for policy in ("temporal", "same_image"))
    steps = 4 if quick else 120
    methods = dict(list(METHODS.items())[:2]) if quick else METHODS
    scenes = {"events": [QUICK_EVENT]} if quick else {}  # most of the time goes into predicting tiles
    return Experiment.model_validate(
        {
            "name": "match tolerance",
            "dataset": DATASET.name,
            "scenes": scenes,
            "splits": {"by": "random", "test_share": 0.2, "validation_share": 0.2 if quick else 0.1},
            "chip_size": 64,
            "labels": {"scheme": "intact_damaged", "train_chips": 64},
            "method": {"name": "pixel_infonce"},
            "pretraining": {"steps": steps, "batch_size": 16, "learning_rate": 1e-3, "checkpoint_every": steps},
            "arms": {
                BASELINE: {"baseline": "random_initialisation"},
                **{
                    name: {
                        "pairing": temporal if name.startswith("temporal") else same,
                        "method": {"name": "pixel_infonce", **changes},
                    }
                    for name, changes in methods.items()
                },
            },
            "reference": REFERENCE,
            "seeds": SEEDS[:1] if quick else SEEDS,
            "protocols": [{"name": "linear_probe", "steps": steps, "evaluate_every": steps}],
        }
    )


if __name__ == "__main__":
    run("match tolerance", measure)
