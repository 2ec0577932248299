import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pairlab.scenes import image_header as limits
from pairlab.scenes.image_files import image_header, mask_header, read_image, read_mask
from pairlab.scenes.scene import SceneError
from tests.pairlab.scenes.bitemporal_tree import drawn_image, write_image, write_mask

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    rows: NDArray[np.uint8], *, width: int, bits: int, colour: int, chunks: bytes = b"", height: int | None = None
) -> bytes:
    """Returns a PNG of packed rows, each without its filter byte."""
    header = struct.pack(">IIBBBBB", width, height or len(rows), bits, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def tiff(entries: list[tuple[int, int, int, int]], *, big: bool = False) -> bytes:
    """Returns a TIFF of one directory: (tag, type, count, value) each, and 64 bytes of pixels at its end."""
    if big:
        head = b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, len(entries))
        return head + b"".join(struct.pack("<HHQQ", *entry) for entry in entries) + bytes(8 + 64)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return head + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4 + 64)


def directory(**changes: int) -> list[tuple[int, int, int, int]]:
    tags = {"width": 256, "height": 257, "bits": 258, "compression": 259, "photometric": 262, "offset": 273}
    tags |= {"bands": 277, "rows": 278, "bytes": 279, "tile_width": 322, "tile_height": 323, "format": 339}
    values = {"width": 8, "height": 8, "bits": 8, "compression": 1, "photometric": 1, "offset": 8, "bands": 1}
    values |= {"rows": 8, "bytes": 64} | changes
    return sorted((tags[name], 4, 1, value) for name, value in values.items())


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(SceneError) as error:
        image_header(path, name=path.name)
    return str(error.value)


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize(("bands", "dtype"), [(1, "uint8"), (3, "uint8"), (1, "uint16"), (3, "uint16")])
def test_headers_and_pixels_agree(tmp_path: Path, ending: str, bands: int, dtype: str) -> None:
    image = drawn_image(np.random.default_rng(0), size=48, bands=bands, dtype=dtype)[:40]
    write_image(tmp_path / f"a.{ending}", image)
    header = image_header(tmp_path / f"a.{ending}", name="a")
    assert (header.height, header.width, header.bands, header.dtype) == (40, 48, bands, dtype)
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{ending}", name="a"), image)


def test_alpha_of_a_png_is_left_out(tmp_path: Path) -> None:
    rgba = drawn_image(np.random.default_rng(0), size=16, bands=4)
    write_image(tmp_path / "a.png", rgba)
    assert image_header(tmp_path / "a.png", name="a").bands == 3
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", name="a"), rgba[..., :3])


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_jpeg_is_read_whatever_comes_before_its_frame(tmp_path: Path, progressive: int) -> None:
    image = drawn_image(np.random.default_rng(0), size=48)[:40]
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])
    content = encoded.tobytes()
    note = b"\xff\xe1" + struct.pack(">H", 60_002) + bytes(60_000)
    path = written(tmp_path / "a.jpg", content[:2] + note + b"\xff\xff" + content[2:])
    header = image_header(path, name="a.jpg")
    assert (header.height, header.width, header.bands) == (40, 48, 3)
    assert read_image(path, name="a.jpg").shape == (40, 48, 3)


def test_a_note_on_orientation_turns_nothing(tmp_path: Path) -> None:
    turned = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    image = drawn_image(np.random.default_rng(0), size=16)
    rows = image.reshape(16, -1)
    path = written(tmp_path / "a.png", png(rows, width=16, bits=8, colour=2, chunks=chunk(b"eXIf", turned)))
    np.testing.assert_array_equal(read_image(path, name="a.png"), image)
    _, encoded = cv2.imencode(".jpg", image)
    plain = written(tmp_path / "a.jpg", encoded.tobytes())
    expected = read_image(plain, name="a.jpg")
    segment = b"Exif\0\0" + turned
    note = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
    path = written(tmp_path / "b.jpg", encoded.tobytes()[:2] + note + encoded.tobytes()[2:])
    np.testing.assert_array_equal(read_image(path, name="b.jpg"), expected)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("colour", [0, 3])
def test_masks_hold_their_values_as_stored(tmp_path: Path, bits: int, colour: int) -> None:
    values = np.random.default_rng(0).integers(0, 2**bits, (16, 16), dtype=np.uint8)
    packed = np.zeros((16, 16 * bits // 8), np.uint8)
    for place in range(8 // bits):
        packed |= values[:, place :: 8 // bits] << (8 - bits * (place + 1))
    palette = chunk(b"PLTE", np.random.default_rng(1).integers(0, 256, 3 * 2**bits, dtype=np.uint8).tobytes())
    palette += chunk(b"tRNS", bytes(2**bits)) + chunk(b"tEXt", b"Title\0palette")
    content = png(packed, width=16, bits=bits, colour=colour, chunks=palette if colour == 3 else b"")
    path = written(tmp_path / "a.png", content)
    header = mask_header(path, name="a.png")
    assert (header.bits, header.palette) == (bits, colour == 3)
    np.testing.assert_array_equal(read_mask(path, name="a.png"), values)


def test_a_mask_of_sixteen_bits_and_of_three_equal_bands(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 5, (16, 16)).astype(np.uint16)
    for name in ("a.png", "a.tif"):
        write_mask(tmp_path / name, values)
        np.testing.assert_array_equal(read_mask(tmp_path / name, name=name), values)
        write_image(tmp_path / name, np.repeat(values[..., None].astype(np.uint8), 3, axis=2))
        np.testing.assert_array_equal(read_mask(tmp_path / name, name=name), values)


@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_written_by_hand(tmp_path: Path, big: bool) -> None:
    path = written(tmp_path / "a.tif", tiff(directory(), big=big))
    header = image_header(path, name="a.tif")
    assert (header.height, header.width, header.bands, header.dtype, header.plain) == (8, 8, 1, "uint8", True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 50_000, "height": 50_000}, "claims 50000 × 50000 pixels; 1 to 8192 a side are read"),
        ({"width": 0}, "claims 0 × 8 pixels; 1 to 8192 a side are read"),
        ({"width": 8000, "height": 8000}, "claims 8000 × 8000 pixels, more than its 186 bytes can hold"),
        (
            {"width": 8000, "height": 8000, "bands": 13},
            "claims 8000 × 8000 pixels of 13 bytes, 832000000 bytes decoded",
        ),
        ({"tile_width": 60_000, "tile_height": 60_000}, "claims 8 × 8 pixels of 1 bytes, 3600000000 bytes decoded"),
        ({"tile_width": 0, "tile_height": 16}, "is a damaged TIFF of 210 bytes (tiles or strips of no size)"),
        ({"bytes": 6400}, "is a damaged TIFF of 186 bytes (truncated: pixels up to byte 6408)"),
        ({"bands": 14}, "has 14 bands; 1 to 13 are read: leave some out"),
        ({"bits": 12}, "has 1 bands of 12 bits (sample format 1): convert it to uint8, uint16 or float32"),
        ({"bits": 32}, "holds uint32: convert it to one of uint8, uint16, float32"),
        ({"bits": 16, "format": 2}, "holds int16: convert it to one of uint8, uint16, float32"),
        ({"bits": 64, "format": 3}, "holds float64: convert it to one of uint8, uint16, float32"),
        ({"format": 5}, "has 1 bands of 8 bits (sample format 5): convert it to uint8, uint16 or float32"),
        ({"photometric": 3}, "is a TIFF of 8 bits a pixel or with a palette: convert it to 8-bit RGB"),
    ],
)
def test_claims_of_a_tiff_are_checked_before_decoding(tmp_path: Path, changes: dict[str, int], message: str) -> None:
    path = written(tmp_path / "a.tif", tiff(directory(**changes)))
    assert refusal(path).startswith(f"a.tif {message}")


def test_claims_of_a_jpeg_are_checked_before_decoding(tmp_path: Path) -> None:
    def frame(height: int, width: int, *, bits: int = 8, bands: int = 3) -> bytes:
        content = struct.pack(">BHHB", bits, height, width, bands) + bytes(3 * bands)
        return b"\xff\xd8\xff\xc2" + struct.pack(">H", len(content) + 2) + content + b"\xff\xd9"

    assert refusal(written(tmp_path / "a.jpg", frame(50_000, 50_000))) == (
        "a.jpg claims 50000 × 50000 pixels; 1 to 8192 a side are read: cut larger images into tiles"
    )
    assert refusal(written(tmp_path / "a.jpg", frame(8000, 8000))) == (
        "a.jpg claims 8000 × 8000 pixels, more than its 23 bytes can hold: copy the file again"
    )
    assert refusal(written(tmp_path / "a.jpg", frame(8, 8, bands=4))).startswith(
        "a.jpg is no grey or RGB JPEG of 8 bits (4 components of 8 bits)"
    )


def test_a_png_whose_chunk_claims_more_than_the_file_holds(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", drawn_image(np.random.default_rng(0), size=16))
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[33:37] = struct.pack(">I", 2**31 - 1)
    path = written(tmp_path / "a.png", bytes(content))
    with peak_memory(below=100), pytest.raises(SceneError) as error:
        read_image(path, name="a.png")
    assert str(error.value) == (
        "a.png is a damaged PNG: its chunks do not end where the file ends; copy the file again"
    )


def test_limits_of_the_decoded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.png", drawn_image(np.random.default_rng(0), size=16))
    monkeypatch.setattr(limits, "MAX_DECODED_BYTES", 700)
    assert refusal(tmp_path / "a.png") == (
        "a.png claims 16 × 16 pixels of 3 bytes, 768 bytes decoded; at most 700 are read: cut larger images into tiles"
    )


@pytest.mark.parametrize("cut", [0, 3, 9, 40, -1, -30])
@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_truncated_files(tmp_path: Path, ending: str, cut: int) -> None:
    path = tmp_path / f"a.{ending}"
    write_image(path, drawn_image(np.random.default_rng(0), size=32))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SceneError, match=f"^a.{ending} is "):
        read_image(path, name=path.name)


@contextmanager
def peak_memory(*, below: int) -> Iterator[None]:
    """Checks that the process never grows by more than so many MiB meanwhile."""

    def mebibytes(field: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(field)).split()[1]) // 1024

    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = mebibytes("VmRSS")
    yield
    assert mebibytes("VmHWM") - before < below


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), ending=st.sampled_from(["png", "jpg", "tif"]), bands=st.sampled_from([1, 3]))
def test_damaged_files_are_read_or_refused_quickly_and_in_little_memory(
    tmp_path: Path, data: st.DataObject, ending: str, bands: int
) -> None:
    path = tmp_path / f"{bands}.{ending}"
    write_image(path, drawn_image(np.random.default_rng(0), size=32, bands=bands))
    content = bytearray(path.read_bytes())
    last = data.draw(st.sampled_from([64, len(content)])) - 1  # headers in every other example
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.integers(0, last))
        content[position] = data.draw(
            st.one_of(st.sampled_from([0, 1, 255, content[position] ^ 128]), st.integers(0, 255))
        )
    if ending == "png" and data.draw(st.booleans()):
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))  # else the checksum catches most of it
    path.write_bytes(content)
    began = time.perf_counter()
    with peak_memory(below=300):
        for read in (read_image, read_mask):
            try:
                decoded, message = read(path, name=path.name).nbytes, path.name
            except SceneError as error:
                decoded, message = 0, str(error)
            assert decoded <= limits.UNSUSPICIOUS_BYTES
            assert message.startswith(path.name)
    assert time.perf_counter() - began < 1
