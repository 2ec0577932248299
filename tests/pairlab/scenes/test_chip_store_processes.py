"""Several processes at one store: killed, at the same time, on a full disk."""

import signal
import time
from pathlib import Path

import numpy as np
import pytest

from pairlab.scenes.chip_file import read_contents
from tests.pairlab.scenes.stored_datasets import (
    DATASET,
    PLAIN_SIZE,
    bytes_of,
    check_plain,
    files_of,
    kept,
    line_of,
    never,
    plain_image,
    plain_scene,
    process,
    source_file,
    store_in,
    store_plain,
)

HOLD = """
import sys, time
from pathlib import Path
from tests.pairlab.scenes.stored_datasets import check_plain, store_in
folder = Path(sys.argv[1])
stored = store_in(folder).open("aa")
check_plain(folder, "aa")
print(len(stored), flush=True)
time.sleep(600)
"""


def test_another_process_reads_a_dataset_and_keeps_it_from_being_dropped_until_it_is_killed(tmp_path: Path) -> None:
    store_plain(store_in(tmp_path), "aa", tmp_path)
    check_plain(tmp_path, "aa")
    store = store_in(tmp_path, budget=int(1.2 * DATASET))
    with process(HOLD, [str(tmp_path)]) as other:
        assert line_of(other) == "8"
        store_plain(store, "bb", tmp_path)
        assert kept(tmp_path, "aa") == ["aa"]
    store_plain(store, "bb", tmp_path, number=1)
    assert kept(tmp_path, "aa", "bb") == ["bb"]


FILL_UP = """
import resource, signal, sys
from pathlib import Path
from pairlab.scenes.chip_file import StoreError
from tests.pairlab.scenes.stored_datasets import store_plain
from pairlab.scenes.chip_store import ChipStore
store = ChipStore(Path(sys.argv[1]) / "store", budget_bytes=2**26, keep_free_bytes=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    store_plain(store, "aa", Path(sys.argv[1]), images=100, number=1)
except StoreError as error:
    print(error, flush=True)
"""


@pytest.mark.parametrize("limit", [10, PLAIN_SIZE // 2, 5 * PLAIN_SIZE + 10])
def test_a_full_disk_is_told_of_and_harms_no_other_part(tmp_path: Path, limit: int) -> None:
    store_plain(store_in(tmp_path), "aa", tmp_path)
    with process(FILL_UP, [str(tmp_path), str(limit)]) as writer:
        assert line_of(writer) == (
            "the chip store cannot be written (File too large): free some space on its disk or give it less of it, and "
            "try again; what it holds stays usable"
        )
    assert files_of(tmp_path) == [".lock", "aa/00000.chips", "aa/in-use"]
    check_plain(tmp_path, "aa")
    store_plain(store_in(tmp_path), "aa", tmp_path, number=1)
    check_plain(tmp_path, "aa")


WRITE_ON = """
import sys
from pathlib import Path
from pairlab.scenes.chip_store import ChipStore
from tests.pairlab.scenes.stored_datasets import store_plain
folder = Path(sys.argv[1])
print("ready", flush=True)
while True:
    store = ChipStore(folder / "store", budget_bytes=int(sys.argv[2]), keep_free_bytes=0)
    for fingerprint in ("aa", "bb"):
        for number in range(2):
            store_plain(store, fingerprint, folder, number=number)
        store.close()
        store.forget(fingerprint)
"""


def check_all(folder: Path) -> int:
    """Checks every image of every part that counts and returns the number of parts."""
    parts = 0
    for fingerprint in ("aa", "bb"):
        with store_in(folder).open(fingerprint) as stored:
            assert stored.warnings == ()
            for number in range(8):
                strips = stored.strips(plain_scene(number), "pre", folder=folder, decode=never)
                if strips is not None:
                    image = strips.transpose(1, 0, 2, 3).reshape(96, 128, 3)
                    np.testing.assert_array_equal(image, plain_image(fingerprint, number))
            assert stored.warnings == ()
        for number in range(2):
            contents = read_contents(folder / "store" / fingerprint / f"{number:05d}.chips")
            assert contents is None or contents.offered == 8  # None: not there, or dropped a moment ago
            parts += contents is not None
    return parts


def test_processes_that_write_and_drop_the_same_parts_at_once_show_whole_ones_alone(tmp_path: Path) -> None:
    budget = int(3.5 * DATASET)
    source_file(tmp_path)
    arguments = [str(tmp_path), str(budget)]
    with process(WRITE_ON, arguments) as one, process(WRITE_ON, arguments) as other:
        assert line_of(one) == line_of(other) == "ready"
        until = time.monotonic() + 2
        found = 0
        while time.monotonic() < until:
            found += check_all(tmp_path)
    assert found > 0
    assert bytes_of(tmp_path) <= budget


def test_a_writer_killed_at_any_moment_leaves_whole_parts_or_none(tmp_path: Path) -> None:
    budget = int(1.6 * DATASET)
    source_file(tmp_path)
    rng = np.random.default_rng(11)
    found = 0
    for _ in range(24):
        with process(WRITE_ON, [str(tmp_path), str(budget)]) as writer:
            assert line_of(writer) == "ready"
            time.sleep(rng.uniform(0, 0.05))
            writer.kill()
            assert writer.wait() == -signal.SIGKILL
        found += check_all(tmp_path)
        with store_in(tmp_path, budget=budget) as store:
            store_plain(store, "cc", tmp_path)
        assert store.usage("cc").images == 8
        assert bytes_of(tmp_path) <= budget
        assert not [name for name in files_of(tmp_path) if name.endswith(".writing")]
        assert store.forget("cc")
    assert found > 0
