"""Bi-temporal datasets of many bands and wide types: TIFF by OpenCV alone, GeoTIFF by the optional rasterio."""

from collections.abc import Callable
from math import radians
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pairlab.experiment.datasets import BitemporalDataset
from pairlab.scenes import tiff
from pairlab.scenes.bands import fit_bands
from pairlab.scenes.bitemporal import BitemporalSource, list_bitemporal, open_bitemporal
from pairlab.scenes.places import EARTH_RADIUS
from pairlab.scenes.scene import SceneError
from tests.pairlab.scenes.bitemporal_tree import drawn_image, write_image

WriteGeotiff = Callable[..., None]
pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")


@pytest.fixture
def write_geotiff() -> WriteGeotiff:
    rasterio = pytest.importorskip(
        "rasterio", reason="rasterio, the optional part geotiff, is not installed: GeoTIFFs are NOT tested"
    )

    def write(path: Path, image: NDArray[Any], **options: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width, bands = image.shape
        shape = {"height": height, "width": width, "count": bands, "dtype": image.dtype.name}
        with rasterio.open(path, "w", driver="GTiff", **shape, **options) as file:
            file.write(np.moveaxis(image, 2, 0))

    return write


@pytest.fixture
def without_rasterio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "rasterio_if_installed", lambda: None)


def images(count: int, *, bands: int = 3, dtype: str = "uint8") -> list[NDArray[Any]]:
    rng = np.random.default_rng(7)
    return [drawn_image(rng, size=64, bands=bands, dtype=dtype) for _ in range(count)]


def opened(folder: Path, **fields: object) -> BitemporalSource:
    return open_bitemporal(folder, BitemporalDataset.model_validate({"root": "data", **fields}))


def test_thirteen_bands_of_float32(tmp_path: Path, write_geotiff: WriteGeotiff) -> None:
    rasterio = tiff.rasterio_if_installed()
    assert rasterio is not None
    pair = images(2, bands=13, dtype="float32")
    pair[1][:, :30] = np.nan
    for folder, image in zip("AB", pair, strict=True):
        place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)}
        write_geotiff(tmp_path / folder / "0.tif", image, compress="deflate", **place)
    source = opened(tmp_path)
    scene = source.scenes[0]
    assert len(source.bands) == 13
    assert source.bands.names[:2] == ("band 1", "band 2")
    assert (source.bands.low, source.bands.high) == ((0.0,) * 13, (1.0,) * 13)
    for acquisition, image in zip("AB", pair, strict=True):
        np.testing.assert_array_equal(source.image(scene, acquisition), image)
    assert source.change(scene).valid.sum() == 64 * 34
    # The middle lies 500,320 east and 4,999,680 north in UTM zone 33: latitude 45.1506 by the meridian's arc (Snyder,
    # 1987, equation 3-26), and 320 m east of longitude 15.
    x, y = source.label_facts(scene).location or (0.0, 0.0)
    assert x == pytest.approx(radians(15) * EARTH_RADIUS + 320, abs=2)
    assert y == pytest.approx(radians(45.1506) * EARTH_RADIUS, abs=10)
    fitted = fit_bands(source)
    values = np.concatenate([image[np.isfinite(image).all(axis=2)] for image in pair])
    assert np.allclose(fitted.low, np.percentile(values, 1, axis=0), atol=0.02)
    assert np.allclose(fitted.high, np.percentile(values, 99, axis=0), atol=0.02)


def test_fields_of_a_geotiff_that_is_nowhere(tmp_path: Path, write_geotiff: WriteGeotiff) -> None:
    for folder, image in zip("AB", images(2, bands=5, dtype="uint16"), strict=True):
        write_geotiff(tmp_path / folder / "0.tif", image)
    source = opened(tmp_path)
    assert source.label_facts(source.scenes[0]).location is None
    assert source.bands.high == (65535.0,) * 5


@pytest.mark.usefixtures("without_rasterio")
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_plain_tiffs_need_no_rasterio(tmp_path: Path, dtype: str, bands: int) -> None:
    pair = images(2, bands=bands, dtype=dtype)
    for folder, image in zip("AB", pair, strict=True):
        write_image(tmp_path / folder / "0.tif", image)
    source = opened(tmp_path)
    assert len(source.bands) == bands
    for acquisition, image in zip("AB", pair, strict=True):
        shown = source.image(source.scenes[0], acquisition)
        assert shown.dtype == dtype
        np.testing.assert_array_equal(shown, image)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_both_readers_see_the_same(tmp_path: Path, write_geotiff: WriteGeotiff, dtype: str, bands: int) -> None:
    (image,) = images(1, bands=bands, dtype=dtype)
    colour = {} if bands == 1 else {"photometric": "rgb", "interleave": "pixel"}
    alpha = {"alpha": "no"} if bands == 4 else {}
    write_geotiff(tmp_path / "0.tif", image, compress="lzw", predictor=2, **colour, **alpha)
    content = (tmp_path / "0.tif").read_bytes()
    with (tmp_path / "0.tif").open("rb") as file:
        header = tiff.tiff_header(file, name="0.tif")
    assert header.plain
    np.testing.assert_array_equal(tiff.decode_tiff(content, header, name="0.tif"), image)
    np.testing.assert_array_equal(tiff._by_opencv(content, name="0.tif"), image)


@pytest.mark.parametrize(
    "options",
    [
        {"interleave": "band"},
        {"photometric": "minisblack"},
        {"compress": "zstd"},
        {"tiled": True, "blockxsize": 16, "blockysize": 16},
        {"photometric": "rgb", "alpha": "yes", "interleave": "pixel"},
    ],
)
def test_what_opencv_misreads_names_the_optional_part(
    tmp_path: Path, write_geotiff: WriteGeotiff, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = images(2, bands=4, dtype="uint16")
    for folder, image in zip("AB", pair, strict=True):
        write_geotiff(tmp_path / folder / "0.tif", image, **options)
    source = opened(tmp_path)
    np.testing.assert_array_equal(source.image(source.scenes[0], "A"), pair[0])
    monkeypatch.setattr(tiff, "rasterio_if_installed", lambda: None)
    with pytest.raises(SceneError, match=r"A/0\.tif is a TIFF of 4 bands of uint16 that needs rasterio") as error:
        opened(tmp_path).image(source.scenes[0], "A")
    assert "pip install 'pairlab[geotiff]'" in str(error.value)


def test_sixteen_bits_of_a_png(tmp_path: Path) -> None:
    pair = images(2, bands=3, dtype="uint16")
    for folder, image in zip("AB", pair, strict=True):
        write_image(tmp_path / folder / "0.png", image)
    source = opened(tmp_path)
    np.testing.assert_array_equal(source.image(source.scenes[0], "B"), pair[1])
    assert source.bands.high == (65535.0,) * 3
    fitted = fit_bands(source)
    assert all(200 <= low < 1000 for low in fitted.low)
    assert all(3000 < high <= 4000 for high in fitted.high)


def test_jpegs(tmp_path: Path) -> None:
    for folder, image in zip("AB", images(2), strict=True):
        write_image(tmp_path / folder / "0.jpg", image)
    source = opened(tmp_path)
    expected = np.asarray(cv2.imread(str(tmp_path / "A/0.jpg")))
    np.testing.assert_array_equal(source.image(source.scenes[0], "A"), expected[..., ::-1])
    assert len(list_bitemporal(tmp_path, BitemporalDataset(root="data")).warnings) == 1
