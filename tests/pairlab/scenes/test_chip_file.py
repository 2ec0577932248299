import itertools
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pairlab.scenes.chip_file import (
    PAGE,
    STRIP,
    PartWriter,
    StoreError,
    checksum,
    cut,
    map_file,
    read_contents,
    to_strips,
)
from pairlab.scenes.scene import Pixels

DTYPES = (np.uint8, np.uint16, np.float32)


def random_image(seed: int, shape: tuple[int, int, int], dtype: type = np.uint8) -> Pixels:
    rng = np.random.default_rng(seed)
    if dtype is np.float32:
        return rng.normal(size=shape).astype(np.float32)
    image: NDArray[Any] = rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
    return image


def written(path: Path, images: int, *, room: int | None = None) -> Path:
    """Writes a part of `images` images of 70 × 100 pixels; with `room`, only as long as a file of so many bytes."""
    source = source_file(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    writer = PartWriter(descriptor, grow=lambda least: 0 if room is not None and least > room else least)
    for number in range(images):
        writer.add(f"scene-{number}", "pre", random_image(number, (70, 100, 3)), source=source)
    writer.finish()
    os.close(descriptor)
    return path


def source_file(beside: Path) -> Path:
    path = beside.parent / "source.png"
    if not path.exists():
        path.write_bytes(b"what the images were decoded from")
        os.utime(path, ns=(0, 1_234_567_890))
        time.sleep(0.02)  # the kernel's clock for files ticks every few milliseconds
    return path


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 200),
    bands=st.sampled_from((1, 3, 13)),
    dtype=st.sampled_from(DTYPES),
    data=st.data(),
)
def test_a_window_of_the_strips_is_the_window_of_the_image(
    height: int, width: int, bands: int, dtype: type, data: st.DataObject
) -> None:
    image = random_image(7, (height, width, bands), dtype)
    stored = to_strips(image)
    assert len(stored) % PAGE == 0
    strips = -(-width // STRIP)
    pixels: NDArray[Any] = stored.view(dtype)[: strips * height * STRIP * bands].reshape(strips, height, STRIP, bands)
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    rows, columns = data.draw(st.integers(1, height - y)), data.draw(st.integers(1, width - x))
    window = cut(pixels, y=y, x=x, height=rows, width=columns)
    assert window.dtype == image.dtype
    np.testing.assert_array_equal(window, image[y : y + rows, x : x + columns])


def test_strips_take_images_that_are_no_whole_piece_of_memory() -> None:
    image = random_image(3, (64, 130, 3))
    backwards = image[::-1, ::-1, ::-1]
    np.testing.assert_array_equal(to_strips(backwards), to_strips(np.ascontiguousarray(backwards)))
    swapped = image.astype(">u2")
    np.testing.assert_array_equal(to_strips(swapped), to_strips(image.astype(np.uint16)))


def test_the_checksum_sees_single_bits_and_torn_swapped_and_repeated_pages() -> None:
    data = to_strips(random_image(1, (64, 256, 3)))
    whole = checksum(data)
    assert checksum(data.copy()) == whole
    rng = np.random.default_rng(2)
    for place, bit in zip(rng.integers(0, len(data), 200), rng.integers(0, 8, 200), strict=True):
        data[place] ^= 1 << bit
        assert checksum(data) != whole
        data[place] ^= 1 << bit
    pages = data.reshape(-1, PAGE)
    for one, other in itertools.permutations(range(4), 2):
        for change in ("swapped", "repeated", "torn", "lost"):
            damaged = pages.copy()
            if change == "swapped":
                damaged[[one, other]] = pages[[other, one]]
            elif change == "repeated":
                damaged[one] = pages[other]
            elif change == "torn":
                damaged[one, 512:] = pages[other, 512:]
            else:
                damaged[one] = 0
            assert checksum(damaged.ravel()) != whole, change


def test_a_file_tells_what_it_holds(tmp_path: Path) -> None:
    contents = read_contents(written(tmp_path / "part", 3))
    assert contents is not None
    assert [(each.scene, each.acquisition, each.height, each.width, each.bands) for each in contents.images] == [
        (f"scene-{number}", "pre", 70, 100, 3) for number in range(3)
    ]
    assert all(each.offset % PAGE == 0 for each in contents.images)
    assert {each.source_mtime_ns for each in contents.images} == {1_234_567_890}
    assert contents.offered == 3


def test_a_file_without_room_holds_what_fitted_and_knows_how_much_was_offered(tmp_path: Path) -> None:
    room = 3 * to_strips(random_image(0, (70, 100, 3))).nbytes
    path = written(tmp_path / "part", 5, room=room)
    contents = read_contents(path)
    assert contents is not None
    assert (len(contents.images), contents.offered) == (2, 5)
    assert path.stat().st_size <= room
    empty = written(tmp_path / "empty", 5, room=0)
    contents = read_contents(empty)
    assert contents is not None
    assert (contents.images, contents.offered) == ((), 5)
    assert empty.stat().st_size < 100


def test_a_file_cut_short_anywhere_or_lengthened_counts_as_none(tmp_path: Path) -> None:
    whole = written(tmp_path / "part", 2).read_bytes()
    path = tmp_path / "damaged"
    rng = np.random.default_rng(3)
    for length in (0, 1, 27, 28, len(whole) - 1, *rng.integers(0, len(whole), 50).tolist()):
        path.write_bytes(whole[:length])
        assert read_contents(path) is None, length
    path.write_bytes(whole + b"\0")
    assert read_contents(path) is None
    path.unlink()
    assert read_contents(path) is None


def test_a_bit_flipped_in_the_records_makes_the_file_count_as_none(tmp_path: Path) -> None:
    whole = bytearray(written(tmp_path / "part", 2).read_bytes())
    begin = whole.rindex(b'{"offered"')
    path = tmp_path / "damaged"
    for place in range(begin, len(whole)):
        for bit in (0, 7):
            whole[place] ^= 1 << bit
            path.write_bytes(whole)
            assert read_contents(path) is None, (place, bit)
            whole[place] ^= 1 << bit
    path.write_bytes(whole)
    assert read_contents(path) is not None


@pytest.mark.parametrize("kind", ["changed", "gone", "other type", "other shape"])
def test_an_image_that_must_not_be_kept_is_counted_alone(tmp_path: Path, kind: str) -> None:
    source = source_file(tmp_path / "part")
    descriptor = os.open(tmp_path / "part", os.O_RDWR | os.O_CREAT)
    writer = PartWriter(descriptor, grow=lambda least: least)
    image: NDArray[np.generic] = np.zeros((8, 8, 3), dtype=np.uint8)
    if kind == "changed":
        time.sleep(0.02)
        source.write_bytes(b"other pixels, written while the part was")
    elif kind == "gone":
        source.unlink()
    elif kind == "other type":
        image = image.astype(np.int64)
    else:
        image = image[0]
    writer.add("scene", "pre", image, source=source)  # type: ignore[arg-type]
    writer.finish()
    os.close(descriptor)
    contents = read_contents(tmp_path / "part")
    assert contents is not None
    assert (contents.images, contents.offered) == ((), 1)


def test_threads_write_a_large_part(tmp_path: Path) -> None:
    source = source_file(tmp_path / "part")
    image = random_image(5, (1024, 1024, 13))
    images = 10
    descriptor = os.open(tmp_path / "part", os.O_RDWR | os.O_CREAT)
    writer = PartWriter(descriptor, grow=lambda least: least)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda number: writer.add(str(number), "pre", image, source=source), range(images)))
    writer.finish()
    os.close(descriptor)
    contents = read_contents(tmp_path / "part")
    assert contents is not None
    data = map_file(tmp_path / "part")
    assert len(contents.images) == images
    assert {checksum(data[each.offset : each.offset + each.nbytes]) for each in contents.images} == {
        checksum(to_strips(image))
    }


def test_a_disk_that_wants_other_blocks_is_written_to_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "part"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    writer = PartWriter(descriptor, grow=lambda least: least)
    data = bytes(range(256)) * 5  # no whole block, as every image would be to such a disk
    writer._write(memoryview(data), 3)
    os.close(descriptor)
    assert path.read_bytes() == bytes(3) + data


def test_an_image_that_the_disk_did_not_take_is_told_of(tmp_path: Path) -> None:
    source = source_file(tmp_path / "part")
    (tmp_path / "part").touch()
    descriptor = os.open(tmp_path / "part", os.O_RDONLY)
    writer = PartWriter(descriptor, grow=lambda least: least)
    writer.add("scene", "pre", random_image(0, (8, 8, 3)), source=source)
    with pytest.raises(StoreError, match=r"the chip store cannot be written \(Bad file descriptor\)"):
        writer.finish()
    with pytest.raises(StoreError, match="cannot be written"):
        writer.add("scene", "post", random_image(1, (8, 8, 3)), source=source)
    os.close(descriptor)
