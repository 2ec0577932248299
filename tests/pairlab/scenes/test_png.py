from pathlib import Path

import cv2
import numpy as np
import pytest

from pairlab.scenes import image_header
from pairlab.scenes.png import decode_png, png_size
from pairlab.scenes.scene import SceneError


def written(
    path: Path, channels: int, *, height: int = 20, width: int = 30
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    image = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    cv2.imwrite(str(path), image)
    return image


@pytest.mark.parametrize("channels", [3, 4])
def test_size_and_pixels_of_rgb_with_and_without_alpha(tmp_path: Path, channels: int) -> None:
    image = written(tmp_path / "a.png", channels)
    assert png_size(tmp_path / "a.png", name="a.png") == (20, 30)
    np.testing.assert_array_equal(decode_png(tmp_path / "a.png", name="a.png"), image[..., 2::-1])


def test_a_side_beyond_the_limit_is_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "a.png", 3)
    monkeypatch.setattr(image_header, "MAX_SIDE", 29)
    monkeypatch.setattr("cv2.imdecode", None)
    with pytest.raises(SceneError, match=r"a.png claims 30 × 20 pixels; 1 to 29 a side are read"):
        decode_png(tmp_path / "a.png", name="a.png")


def test_a_file_beyond_the_limit_is_refused_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "a.png", 3)
    monkeypatch.setattr(image_header, "MAX_FILE_BYTES", 100)
    with pytest.raises(SceneError, match="bytes, more than the 100 that are read: compress it again"):
        decode_png(tmp_path / "a.png", name="a.png")
