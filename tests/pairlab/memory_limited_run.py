"""Runs two steps in a process that may take so many more MiB than it has when the run begins.

python -m tests.pairlab.memory_limited_run FOLDER MIB BATCH_SIZE PARTS
"""

import resource
import sys
from pathlib import Path

import torch

from pairlab.engine.memory import TooLittleMemoryError
from tests.pairlab.training_jobs import pretrain_job, run


def main(folder: str, mib: str, batch_size: str, parts: str) -> None:
    """Prints "done", or what the error says."""
    torch.set_num_threads(1)
    training = {"steps": 2, "batch_size": int(batch_size), "parts": int(parts), "warmup_steps": 0}
    events = run(pretrain_job(pretraining=training, method={"name": "simclr", "hidden_dim": 32}), Path(folder))
    next(events)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + int(mib) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        for _ in events:
            pass
    except TooLittleMemoryError as error:
        print(error)
    else:
        print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
