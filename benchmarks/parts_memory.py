"""What a step takes in memory when its images go through the network in parts."""

import gc
from concurrent.futures import ProcessPoolExecutor

import torch

from benchmarks.pairlab_steps import prepare
from benchmarks.report import Row
from benchmarks.stored_chips import StoredChips, pairs_and_source, speed_job
from benchmarks.turns import fresh_processes, memory_mb, peak_mb
from pairlab.engine.run import Run
from pairlab.engine.team import ALONE
from pairlab.experiment.jobs import PretrainJob

ENCODER, SIZE, PAIRS = "tu-resnet18", 96, 64
STEPS = 2
"""The first makes the optimizer's state, the second has all there is."""


def parts_rows(chips: StoredChips, *, quick: bool, threads: int) -> list[Row]:
    """Returns how much memory steps add to a process, with the images in 1, 2, 4 and 8 parts; a process for each."""
    size, pairs = (64, 16) if quick else (SIZE, PAIRS)
    rows, whole = [], 0.0
    for parts in (1, 8) if quick else (1, 2, 4, 8):
        job = speed_job("simclr", size=size, batch=pairs, pairs=pairs, steps=STEPS, encoder=ENCODER, parts=parts)
        with ProcessPoolExecutor(1, mp_context=fresh_processes()) as process:
            taken = process.submit(added_mb, job, chips, threads=threads).result()
        whole = whole or taken
        of_whole = f"SimCLR on {ENCODER}, {size}², {pairs} pairs: {taken / whole:.0%} of a step in one part"
        rows.append(Row(f"step_memory_{parts}_parts", taken, "MB", of_whole, None))
    return rows


def added_mb(job: PretrainJob, chips: StoredChips, *, threads: int) -> float:
    """Returns by how much a run's steps raise the most memory that is resident, MB: gradients and states included."""
    prepare(threads)
    pairs, source = pairs_and_source(chips, job)
    run = Run(job, source, pairs, device=torch.device("cpu"), team=ALONE)
    gc.collect()
    before = memory_mb("VmRSS")
    for step in range(STEPS):
        batch = run.batches.batch(step)
        run.optimize(batch, run.views(batch))
    return peak_mb() - before
