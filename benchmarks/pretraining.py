"""Pretraining: its speed beside Lightly's recipe and beside the bare model, its memory, and how soon a job trains."""

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch

from benchmarks.first_step import first_step_rows
from benchmarks.lightly_recipe import VARIANTS, lightly_steps
from benchmarks.pairlab_steps import bare_steps, loop_steps, steps_of_a_run
from benchmarks.parts_memory import parts_rows
from benchmarks.report import Row, run
from benchmarks.stored_chips import StoredChips, speed_job
from benchmarks.turns import WARM_UPS, Contestant, Work, ratios, seconds_in_turns
from pairlab.precision import best_precision

ENCODER = "tu-resnet18"
THREADS = 1
"""Of each contestant's training; views are made on another core, in PairLab by threads and in Lightly by a process."""
PEER_BARS = {96: 2.0, 128: 1.7}
GPU = "H200, ResNet-50 with FPN at 256², batch 256, chips from the store"
MEANS = {
    "memory_format": "channels-last memory",
    "precision": "bfloat16 where the CPU multiplies it",
    "augmentation": "views made in batches of tensors",
    "allocation": "freed memory is kept by the process",
}


def measure(quick: bool) -> Sequence[Row]:
    """Returns the rows of the table."""
    with tempfile.TemporaryDirectory(prefix="pairlab-benchmark-") as folder:
        chips = StoredChips(Path(folder))
        chips.write(tiles=1 if quick else 12)
        rows = []
        for size in PEER_BARS:
            if size == 96 or not quick:
                rows += peer_rows(chips, size, quick=quick)
        rows += bare_rows(chips, quick=quick)
        rows += gpu_rows(chips, quick=quick)
        rows += parts_rows(chips, quick=quick, threads=THREADS)
    return [*rows, *first_step_rows(quick=quick)]


def peer_rows(chips: StoredChips, size: int, *, quick: bool) -> list[Row]:
    """Returns the rows beside Lightly's recipe on the same chips, with what each of PairLab's means adds to it."""
    batch, turn, rounds = (4, 1, 1) if quick else (32, 4, 5)
    job = speed_job(
        "simclr",
        size=size,
        batch=batch,
        pairs=8 * batch if quick else 500,
        steps=steps_of_a_run(turn),
        encoder=ENCODER,
    )
    images = chips.images(job)
    works: dict[str, Work] = {
        name: partial(lightly_steps, name, chips=images, batch=batch, threads=THREADS, turn=turn)
        for name in (VARIANTS[:1] if quick else VARIANTS)
    }
    works["loop"] = partial(loop_steps, job, chips, device="cpu", threads=THREADS)
    found = seconds_in_turns(works, rounds=rounds, warm_ups=1 if quick else WARM_UPS)
    return _peer_rows(found, size=size, batch=batch)


def _peer_rows(found: Mapping[str, Contestant], *, size: int, batch: int) -> list[Row]:
    lightly, loop = found["lightly"], found["loop"]
    quick_type = best_precision(torch.device("cpu")).autocast is not None
    bar = PEER_BARS[size] if quick_type else None
    remark = "" if quick_type else "; this CPU multiplies no bfloat16, so no bar"
    gains = {
        name: _times(found[before], found[name])
        for before, name in pairwise([*VARIANTS, "loop"])
        if before in found and name in found and len(found) > 2
    }
    shares = ", ".join(f"{name.replace('_', ' ')} {gain:.2f} x" for name, gain in gains.items())
    speeds = " and ".join(f"{batch / median(each.seconds):.1f}" for each in (lightly, loop))
    against = (
        f"lightly {version('lightly')}, its SimCLR recipe, timm resnet18, fp32, and pretrain(): {speeds} pairs/s"
        f"{'; of it ' if shares else ''}{shares}{remark}"
    )
    rows = [Row(f"pairs_per_s_vs_lightly_{size}", _times(lightly, loop), "x", against, bar)]
    for name, gain in gains.items():
        what = f"lightly's recipe and: {MEANS[name]}" if name in MEANS else "PairLab's own loop over all that"
        rows.append(Row(f"{name}_share_{size}", gain, "x", what, None))
    for name in ("lightly", "loop"):
        rows.append(Row(f"peak_memory_{name}_{size}", found[name].peak_mb, "MB", "resident, without loaders", None))
    return rows


def bare_rows(chips: StoredChips, *, quick: bool) -> list[Row]:
    """Returns the rows beside the bare model on the CPU: a dense method with its decoder, chips from the store."""
    size, batch, turn, rounds = (64, 4, 1, 1) if quick else (96, 32, 4, 5)
    return _bare_rows(chips, "cpu", size=size, batch=batch, turn=turn, rounds=rounds, encoder=ENCODER, bar=0.95)


def gpu_rows(chips: StoredChips, *, quick: bool) -> list[Row]:
    """Returns the rows beside the bare model on a GPU; without one, a row says that it was not measured."""
    if not torch.cuda.is_available():
        return [Row("pairs_per_s_vs_bare_cuda", 0.0, "share", f"not measured: no GPU here ({GPU})", None)]
    size, batch, turn, rounds = (64, 8, 2, 1) if quick else (256, 256, 10, 7)
    return _bare_rows(chips, "cuda", size=size, batch=batch, turn=turn, rounds=rounds, encoder="tu-resnet50", bar=0.9)


def _bare_rows(
    chips: StoredChips, device: str, *, size: int, batch: int, turn: int, rounds: int, encoder: str, bar: float
) -> list[Row]:
    job = speed_job(
        "pixel_infonce", size=size, batch=batch, pairs=max(2 * batch, 64), steps=steps_of_a_run(turn), encoder=encoder
    )
    found = seconds_in_turns(
        {
            "bare": partial(bare_steps, job, chips, device=device, threads=THREADS, turn=turn),
            "loop": partial(loop_steps, job, chips, device=device, threads=THREADS),
        },
        rounds=rounds,
        warm_ups=1 if rounds == 1 else WARM_UPS,
    )
    bare, loop = found["bare"], found["loop"]
    speed = batch / median(loop.seconds)
    what = f"forward, backward and step of {encoder} with FPN, pixel InfoNCE, at {size}², {batch} pairs in memory"
    return [
        Row(f"pairs_per_s_vs_bare_{device}", _times(bare, loop), "share", f"{what}; {speed:.1f} pairs/s", bar),
        Row(f"data_wait_{device}", median(loop.waiting), "of a step", "chips from the store", 0.05, at_least=False),
        Row(f"peak_memory_loop_{device}", loop.peak_mb, "MB", f"resident; the bare model {bare.peak_mb:.0f} MB", None),
    ]


def _times(slower: Contestant, faster: Contestant) -> float:
    return median(ratios(slower, faster))


if __name__ == "__main__":
    run("pretraining", measure)
