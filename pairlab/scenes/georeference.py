"""Where a GeoTIFF lies on the earth; known only where the optional rasterio is installed."""

import math
from pathlib import Path

from pairlab.scenes.places import on_the_plane
from pairlab.scenes.tiff import rasterio_if_installed

DEGREES = "EPSG:4326"
"""Longitude and latitude, WGS 84."""


def centre_of(path: Path) -> tuple[float, float] | None:
    """Returns the centre of a GeoTIFF, x and y in metres (see `places`); None where it is not known."""
    rasterio = rasterio_if_installed()
    if rasterio is None:
        return None
    options = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}  # nothing beside the file counts
    try:
        with rasterio.Env(**options), rasterio.open(path, driver="GTiff", sharing=False) as dataset:
            if dataset.crs is None:
                return None
            at, column, row = dataset.transform, dataset.width / 2, dataset.height / 2
            east, north = at.a * column + at.b * row + at.c, at.d * column + at.e * row + at.f
            (longitude,), (latitude,) = rasterio.warp.transform(dataset.crs, DEGREES, [east], [north])
    except Exception:  # what GDAL raises has no common class
        return None
    if not (math.isfinite(longitude) and math.isfinite(latitude)):
        return None
    x, y = on_the_plane(longitude, latitude)
    return float(x), float(y)
