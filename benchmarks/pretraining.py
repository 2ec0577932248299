"""Pretraining: pairs per second beside Lightly's recipe and beside the bare model, and how soon a job trains."""

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
from benchmarks.pairlab_steps import bare_steps, encoder_steps, loop_steps, steps_of_a_run
from benchmarks.report import Row, run
from benchmarks.stored_chips import StoredChips, simclr_job
from benchmarks.turns import Contestant, Work, ratios, seconds_in_turns
from pairlab.precision import best_precision

ENCODER, LEANEST_DECODER, DEFAULT_DECODER = "tu-resnet18", 64, 256
THREADS = 1
"""Of each contestant's training; one loader works beside it, in PairLab a thread and in Lightly a process."""
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
        chips.write(tiles=2 if quick else 12)
        rows = []
        for size in PEER_BARS:
            if size == 96 or not quick:
                rows += peer_rows(chips, size, quick=quick)
        rows += bare_rows(chips, quick=quick)
        rows += gpu_rows(chips, quick=quick)
    return [*rows, *first_step_rows(quick=quick)]


def peer_rows(chips: StoredChips, size: int, *, quick: bool) -> list[Row]:
    """Returns the rows beside Lightly's recipe on the same chips, with what each of PairLab's means adds to it."""
    batch, turn, rounds = (4, 1, 1) if quick else (32, 5, 5)
    pairs = 8 * batch if quick else 500
    job = simclr_job(
        size=size,
        batch=batch,
        pairs=pairs,
        steps=steps_of_a_run(turn),
        decoder_channels=LEANEST_DECODER,
        encoder=ENCODER,
    )
    images = chips.images(job)
    works: dict[str, Work] = {
        name: partial(lightly_steps, name, chips=images, batch=batch, threads=THREADS, turn=turn)
        for name in (VARIANTS[:1] if quick else VARIANTS)
    }
    works["encoder"] = partial(encoder_steps, job, chips, threads=THREADS, turn=turn)
    works["loop"] = partial(loop_steps, job, chips, device="cpu", threads=THREADS)
    return _peer_rows(seconds_in_turns(works, rounds=rounds), size=size, batch=batch)


def _peer_rows(found: Mapping[str, Contestant], *, size: int, batch: int) -> list[Row]:
    lightly = found["lightly"]
    quick_type = best_precision(torch.device("cpu")).autocast is not None
    bar = PEER_BARS[size] if quick_type else None
    remark = "" if quick_type else "; this CPU multiplies no bfloat16, so no bar"
    peer = f"lightly {version('lightly')}, timm resnet18, fp32, {batch / median(lightly.seconds):.1f} pairs/s"
    of_ours = f"resnet18 without decoder, PairLab's parts{remark}"
    whole = f"the same with FPN {LEANEST_DECODER}, pretrain(): a decoder more than the peer"
    rows = [
        Row(f"pairs_per_s_vs_lightly_{size}", _times(lightly, found["encoder"]), "x", f"{peer}; {of_ours}", bar),
        Row(f"whole_loop_vs_lightly_{size}", _times(lightly, found["loop"]), "x", f"{peer}; {whole}", None),
    ]
    for before, name in pairwise(VARIANTS):
        if name in found:
            gain = _times(found[before], found[name])
            rows.append(Row(f"{name}_share_{size}", gain, "x", f"lightly's recipe and: {MEANS[name]}", None))
    for name in ("lightly", "encoder", "loop"):
        rows.append(Row(f"peak_memory_{name}_{size}", found[name].peak_mb, "MB", "resident, without loaders", None))
    return rows


def bare_rows(chips: StoredChips, *, quick: bool) -> list[Row]:
    """Returns the rows beside the bare model on the CPU: the default decoder, chips from the store."""
    size, batch, turn, rounds = (64, 4, 1, 1) if quick else (96, 32, 5, 7)
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
    job = simclr_job(
        size=size,
        batch=batch,
        pairs=max(2 * batch, 64),
        steps=steps_of_a_run(turn),
        decoder_channels=DEFAULT_DECODER,
        encoder=encoder,
    )
    found = seconds_in_turns(
        {
            "bare": partial(bare_steps, job, chips, device=device, threads=THREADS, turn=turn),
            "loop": partial(loop_steps, job, chips, device=device, threads=THREADS),
        },
        rounds=rounds,
    )
    bare, loop = found["bare"], found["loop"]
    speed = batch / median(loop.seconds)
    what = f"forward, backward and step of {encoder} with FPN {DEFAULT_DECODER} at {size}², {batch} pairs in memory"
    return [
        Row(f"pairs_per_s_vs_bare_{device}", _times(bare, loop), "share", f"{what}; {speed:.1f} pairs/s", bar),
        Row(f"data_wait_{device}", median(loop.waiting), "of a step", "chips from the store", 0.05, at_least=False),
        Row(f"peak_memory_loop_{device}", loop.peak_mb, "MB", f"resident; the bare model {bare.peak_mb:.0f} MB", None),
    ]


def _times(slower: Contestant, faster: Contestant) -> float:
    return median(ratios(slower, faster))


if __name__ == "__main__":
    run("pretraining", measure)
