"""What is kept and for how long: parts, the budget, other processes, full disks."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pairlab.scenes.chip_file import StoreError
from pairlab.scenes.chip_store import ChipStore, StoreUsage
from tests.pairlab.scenes.stored_datasets import (
    DATASET,
    PLAIN_SIZE,
    bytes_of,
    check_plain,
    files_of,
    kept,
    plain_image,
    source_file,
    store_in,
    store_plain,
)


def test_a_part_counts_once_it_was_left_and_not_before(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    source = source_file(tmp_path)
    assert not store.has_part("aa", 0)
    with store.part("aa", number=0) as part:
        part.add("scene-0", "pre", plain_image("aa", 0), source=source)
        assert not store.has_part("aa", 0)
        assert len(store.open("aa")) == 0
    assert store.has_part("aa", 0)
    assert not store.has_part("aa", 1)
    check_plain(tmp_path, "aa", images=1)
    assert store.usage("aa") == StoreUsage(images=1, offered=1, bytes=bytes_of(tmp_path))
    assert files_of(tmp_path) == [".lock", "aa/00000.chips", "aa/in-use"]


def test_a_part_left_with_an_exception_leaves_nothing(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    source = source_file(tmp_path)

    def stop_half_way() -> None:
        with store.part("aa", number=0) as part:
            part.add("scene-0", "pre", plain_image("aa", 0), source=source)
            raise KeyError("stopped")

    with pytest.raises(KeyError, match="stopped"):
        stop_half_way()
    assert files_of(tmp_path) == [".lock", "aa/in-use"]


def test_threads_share_a_part(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    source = source_file(tmp_path)
    with store.part("aa", number=0) as part, ThreadPoolExecutor(8) as pool:
        futures = [
            pool.submit(part.add, f"scene-{number}", "pre", plain_image("aa", number), source=source)
            for number in range(200)
        ]
        for future in futures:
            future.result()
    check_plain(tmp_path, "aa", images=200)


def test_a_dataset_that_was_never_kept_is_open_without_images_and_leaves_no_trace(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    with store.open("aa") as stored:
        assert len(stored) == 0
        assert stored.warnings == ()
    assert store.usage("aa") == StoreUsage(0, 0, 0)
    assert store.forget("aa")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fingerprint", ["..", "", "a/b", "/etc", ".lock", "a\0b", "a" * 200])
def test_a_fingerprint_that_is_none_is_refused(tmp_path: Path, fingerprint: str) -> None:
    store = store_in(tmp_path)
    uses: list[Callable[[], object]] = [
        lambda: store.has_part(fingerprint, 0),
        lambda: store.open(fingerprint),
        lambda: store.usage(fingerprint),
        lambda: store.forget(fingerprint),
        lambda: store.part(fingerprint, number=0).__enter__(),
    ]
    for use in uses:
        with pytest.raises(StoreError, match="is no fingerprint of a dataset"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_into_the_budget_is_not_kept_and_is_counted(tmp_path: Path) -> None:
    store = store_in(tmp_path, budget=int(3.5 * PLAIN_SIZE))
    store_plain(store, "aa", tmp_path, images=6)
    usage = store.usage("aa")
    assert (usage.images, usage.offered) == (3, 6)
    assert bytes_of(tmp_path) <= 3.5 * PLAIN_SIZE
    check_plain(tmp_path, "aa", images=3)
    store_plain(store, "aa", tmp_path, images=6, number=1)
    assert store.has_part("aa", 1)  # read, and nothing of it found room: not to be tried again
    assert store.usage("aa").images == 3
    assert store.usage("aa").offered == 12


def test_no_budget_keeps_nothing(tmp_path: Path) -> None:
    store = store_in(tmp_path, budget=0)
    store_plain(store, "aa", tmp_path)
    assert (store.usage("aa").images, store.usage("aa").offered) == (0, 8)
    assert bytes_of(tmp_path) < 100


def test_space_is_left_on_the_disk_whatever_the_budget(tmp_path: Path) -> None:
    everything = os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    store = ChipStore(tmp_path / "store", budget_bytes=64 * 2**20, keep_free_bytes=everything)
    store_plain(store, "aa", tmp_path)
    assert (store.usage("aa").images, store.usage("aa").offered) == (0, 8)


def test_the_dataset_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    budget = int(3.3 * DATASET)
    for fingerprint in ("aa", "bb", "cc"):
        with store_in(tmp_path, budget=budget) as store:
            store_plain(store, fingerprint, tmp_path)
    store_in(tmp_path).open("aa").close()  # used again: bb is the oldest now
    for fingerprint, left in (("dd", ["aa", "cc", "dd"]), ("ee", ["aa", "dd", "ee"])):
        with store_in(tmp_path, budget=budget) as store:
            store_plain(store, fingerprint, tmp_path)
        assert kept(tmp_path, "aa", "bb", "cc", "dd", "ee") == left
        assert bytes_of(tmp_path) <= budget
    for fingerprint in left:
        check_plain(tmp_path, fingerprint)


def test_opening_counts_as_use_even_if_the_process_is_killed_later(tmp_path: Path) -> None:
    with store_in(tmp_path) as store:
        store_plain(store, "aa", tmp_path)
    used = tmp_path / "store" / "aa" / "in-use"
    os.utime(used, ns=(0, 0))
    with store_in(tmp_path).open("aa"):
        assert used.stat().st_mtime > time.time() - 60


def test_several_datasets_are_kept_within_the_budget_at_any_time(tmp_path: Path) -> None:
    budget = int(2.5 * DATASET)
    store = store_in(tmp_path, budget=budget)
    source = source_file(tmp_path)
    for round_ in range(6):
        fingerprint = f"{round_:02d}"
        for number in range(3):
            with store.part(fingerprint, number=number) as part:
                for each in range(8):
                    part.add(f"scene-{each}", "pre", plain_image(fingerprint, each), source=source)
                    assert bytes_of(tmp_path) <= budget
        store.close()
        assert store.usage(fingerprint).images >= 17  # of 24: the others had to go for them
    assert bytes_of(tmp_path) <= budget


def test_a_dataset_that_is_open_stays_and_the_new_one_is_kept_in_part(tmp_path: Path) -> None:
    store_plain(store_in(tmp_path), "aa", tmp_path)
    budget = int(1.5 * DATASET)
    with store_in(tmp_path).open("aa"):
        store = store_in(tmp_path, budget=budget)
        store_plain(store, "bb", tmp_path)
        assert kept(tmp_path, "aa", "bb") == ["aa", "bb"]
        assert 0 < store.usage("bb").images < 8
        check_plain(tmp_path, "aa")
        assert not store.forget("aa")
    assert bytes_of(tmp_path) <= budget


def test_a_dataset_being_written_stays_between_its_parts(tmp_path: Path) -> None:
    budget = int(1.5 * DATASET)
    first, second = store_in(tmp_path, budget=budget), store_in(tmp_path, budget=budget)
    store_plain(first, "aa", tmp_path)
    store_plain(second, "bb", tmp_path)
    assert first.usage("aa").images == 8
    assert second.usage("bb").images < 8
    first.close()
    store_plain(second, "bb", tmp_path, number=1)
    assert kept(tmp_path, "aa", "bb") == ["bb"]


def test_forget_drops_one_dataset_and_lets_foreign_files_be(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store_plain(store, "aa", tmp_path)
    store_plain(store, "bb", tmp_path)
    foreign = tmp_path / "store" / "aa" / "notes.txt"
    foreign.write_text("mine")
    assert store.forget("aa")
    assert not store.has_part("aa", 0)
    assert foreign.read_text() == "mine"
    check_plain(tmp_path, "bb")


def test_a_folder_of_someone_else_in_the_store_is_never_dropped(tmp_path: Path) -> None:
    mine = tmp_path / "store" / "photos" / "large.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(bytes(2 * DATASET))
    store = store_in(tmp_path, budget=DATASET)
    store_plain(store, "aa", tmp_path)
    store.close()
    store_plain(store, "bb", tmp_path)
    assert mine.stat().st_size == 2 * DATASET


def test_of_two_writers_of_the_same_part_the_first_counts(tmp_path: Path) -> None:
    source = source_file(tmp_path)
    one, other = store_in(tmp_path), store_in(tmp_path)
    with one.part("aa", number=0) as mine:
        with other.part("aa", number=0) as theirs:
            for number in range(8):
                mine.add(f"scene-{number}", "pre", plain_image("aa", number), source=source)
                theirs.add(f"scene-{number}", "pre", plain_image("aa", number), source=source)
        stored = other.open("aa")
    check_plain(tmp_path, "aa")
    assert len(stored) == 8
    assert files_of(tmp_path) == [".lock", "aa/00000.chips", "aa/in-use"]


def test_writers_and_readers_at_once_see_whole_parts_alone(tmp_path: Path) -> None:
    budget = int(4.2 * DATASET)
    source_file(tmp_path)
    errors: list[BaseException] = []

    def write(fingerprint: str) -> None:
        for number in range(3):
            with store_in(tmp_path, budget=budget) as store:
                store_plain(store, fingerprint, tmp_path, number=number)

    def read(fingerprint: str) -> None:
        for _ in range(20):
            with store_in(tmp_path).open(fingerprint) as stored:
                assert stored.warnings == ()
                assert len(stored) <= 8

    def guarded(work: Callable[[str], None], fingerprint: str) -> None:
        try:
            work(fingerprint)
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=guarded, args=(work, name)) for work in (write, read) for name in ("aa", "bb", "cc")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert bytes_of(tmp_path) <= budget
    assert not [name for name in files_of(tmp_path) if name.endswith(".writing")]


def test_a_damaged_part_is_told_of_and_written_again(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store_plain(store, "aa", tmp_path)
    path = tmp_path / "store" / "aa" / "00000.chips"
    os.truncate(path, path.stat().st_size // 2)
    assert not store.has_part("aa", 0)
    with store.open("aa") as stored:
        assert len(stored) == 0
        assert stored.warnings == (
            "chip store: damaged parts (1, the first 00000.chips) are not used, but the dataset's files instead",
        )
    store_plain(store, "aa", tmp_path)
    check_plain(tmp_path, "aa")


def test_a_folder_that_is_a_file_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("not a folder")
    with pytest.raises(StoreError, match=r"cannot be written \(File exists\)"):
        store_plain(store_in(tmp_path), "aa", tmp_path)
    with store_in(tmp_path).open("aa") as stored:
        assert len(stored) == 0
