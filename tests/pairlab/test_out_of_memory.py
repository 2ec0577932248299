"""A step that does not fit: what is named instead fits, in a process of the same size."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

MIB = 700
PAIRS = 256
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""glibc gives back what is freed, as a GPU's allocator does: else it depends on chance what an earlier trial leaves."""


def says(folder: Path, *, batch_size: int, parts: int = 1) -> str:
    command = [sys.executable, "-m", "tests.pairlab.memory_limited_run", str(folder)]
    done = subprocess.run(
        [*command, str(MIB), str(batch_size), str(parts)],
        # What is freed must be given back at once, as on a GPU: else it depends on chance what an earlier trial leaves.
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "MALLOC_MMAP_THRESHOLD_": "65536",
            "MALLOC_TRIM_THRESHOLD_": "65536",
        },
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no Linux: memory cannot be limited this way")
def test_the_batch_size_and_the_parts_that_are_named_fit(tmp_path: Path) -> None:
    said = says(tmp_path / "all", batch_size=PAIRS)
    found = re.fullmatch(
        rf"a step of {PAIRS} pairs does not fit into the memory of cpu \(.*\)\. By trial, pretraining\.batch_size "
        r"(\d+) would have fitted\. Or keep the batch with all its negatives: in (\d+) pretraining\.parts it fits",
        said,
    )
    assert found, said
    assert 2 <= int(found[1]) < PAIRS
    assert says(tmp_path / "fewer", batch_size=int(found[1])) == "done"
    assert says(tmp_path / "parts", batch_size=PAIRS, parts=int(found[2])) == "done"
    assert not [path for path in (tmp_path / "all").iterdir() if "checkpoint" in path.name]
