"""What a synthetic scene looks like before it is seen: ground with its season, and objects intact or torn."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.synthetic_scenes import SyntheticScenes
from pairlab.scenes.synthetic_draws import Purpose, SceneKey
from pairlab.scenes.synthetic_layout import Float32Array, Int32Array, Layout, Offset

TEAR_PIXELS = 3.0
"""Standard deviation of the displacement that tears a texture at separability 1 and texture scale 1."""
TEAR_BLOB = 2.5
PERIOD = 5.0
"""Pixels from stripe to stripe of the first class at texture scale 1."""
GREEN = np.array([-0.12, 0.16, -0.04], dtype=np.float32)
"""What one unit of vegetation adds to the ground where plants grow; its opposite is brown."""
DRY = np.array([0.12, 0.12, 0.12], dtype=np.float32)
"""What one unit of drought adds to the ground where none grow."""
TEAR_FIELD = 64
"""Least side of the field that displaces an object's texture, pixels."""

Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


def ground(size: int, rng: np.random.Generator) -> Float32Array:
    """Returns the ground, float32 RGB of shape (size, size, 3): large patches of two colours with grain."""
    colours = rng.uniform(0.25, 0.7, size=(2, 3)).astype(np.float32)
    # Rows of size · 3 numbers: NumPy is slow where the last axis is as short as three bands.
    blend = np.repeat(_logistic(_smooth_noise((size, size), size / 3, rng)), 3, axis=1)
    grain = np.repeat(np.float32(0.06) * _smooth_noise((size, size), rng.uniform(1.2, 4.0), rng), 3, axis=1)
    one, other = np.tile(colours, size)
    return np.asarray(one * blend + other * (1 - blend) + grain).reshape(size, size, 3)


def in_season(surface: Float32Array, vegetation: float, drought: float, *, rng: np.random.Generator) -> Float32Array:
    """Returns the ground of a season: greener or browner where plants grow, brighter or darker where none do.

    Args:
        surface: shape (size, size, 3).
        vegetation: how green, 0 as it was.
        drought: how dry, 0 as it was.
        rng: where plants grow; the same for all acquisitions of a scene.
    """
    size = surface.shape[0]
    plants = _logistic(_smooth_noise((size, size), size / 4, rng)).astype(np.float32)[..., None]
    difference = np.float32(vegetation) * plants * GREEN + np.float32(drought) * (1 - plants) * DRY
    return np.asarray(surface + difference, dtype=np.float32)


def moved(surface: Float32Array, offset: Offset) -> Float32Array:
    """Returns the ground shifted by whole pixels; what comes in at an edge mirrors what is there."""
    if offset == (0, 0):
        return surface
    rows, cols = (_mirrored(np.arange(side) - step, side) for side, step in zip(surface.shape, offset, strict=False))
    return surface[rows[:, None], cols]


def paint(
    surface: Float32Array, layout: Layout, acquisition: int, *, knobs: SyntheticScenes, torn: SceneKey | None
) -> None:
    """Paints the objects into the surface, each with its class's pattern.

    Args:
        surface: float32 RGB of shape (size, size, 3), written to.
        layout: of the scene.
        acquisition: position in time of the one whose geometry is taken; textures move with their objects.
        knobs: of the generator.
        torn: the scene's key where changing objects are shown damaged; None shows all intact.
    """
    owner, (down, across) = layout.owners[acquisition], layout.offsets[acquisition]
    rows, cols = np.nonzero(owner)
    who = owner[rows, cols] - 1
    y, x = (rows - down).astype(np.float32), (cols - across).astype(np.float32)
    if torn is not None and knobs.separability:
        for position in np.flatnonzero(layout.changes).tolist():
            mine = np.flatnonzero(who == position)
            outline = layout.objects[position].outline
            rng = torn.generator(Purpose.DAMAGE, position)
            step_y, step_x = _tear(rows[mine] - down, cols[mine] - across, outline, knobs, rng=rng)
            y[mine] += step_y
            x[mine] += step_x
    objects = layout.objects
    angle = np.array([item.angle for item in objects])
    cosine, sine = np.cos(angle)[who], np.sin(angle)[who]
    pattern = _pattern(
        np.array([item.class_index for item in objects])[who],
        x * cosine + y * sine,
        y * cosine - x * sine,
        np.array([item.phase for item in objects])[who],
        scale=knobs.texture_scale,
    )
    colour = np.array([item.colour for item in objects], dtype=np.float32)[who]
    contrast = np.array([item.contrast for item in objects], dtype=np.float32)[who]
    surface[rows, cols] = colour + (contrast * pattern)[:, None]


def _tear(
    rows: IntArray, cols: IntArray, outline: Int32Array, knobs: SyntheticScenes, *, rng: np.random.Generator
) -> tuple[Float32Array, Float32Array]:
    """Returns how far, down and across, an object's texture is displaced at its pixels.

    The field of displacements is the whole frame where that is small, so that its numbers stay those first published.
    """
    side = min(knobs.size, max(TEAR_FIELD, int(np.ptp(outline, axis=0).max()) + 1))
    left, top = np.clip(outline.min(axis=0), 0, knobs.size - side).tolist()
    at = np.clip(rows - top, 0, side - 1), np.clip(cols - left, 0, side - 1)
    amplitude, blob = TEAR_PIXELS * knobs.separability * knobs.texture_scale, TEAR_BLOB * knobs.texture_scale
    step_y = amplitude * _smooth_noise((side, side), blob, rng)[at]
    step_x = amplitude * _smooth_noise((side, side), blob, rng)[at]
    return step_y, step_x


def _pattern(
    class_index: IntArray, along: Float64Array, across: Float64Array, phase: Float64Array, *, scale: float
) -> Float32Array:
    """Returns each pixel's pattern with unit deviation: stripes, chequers or dots, finer with each round of classes."""
    kind = class_index % 3
    period = PERIOD * scale * 0.75 ** (class_index // 3)
    frequency = np.array([1.0, 0.8, 1.25])[kind]
    u = np.sin((2 * np.pi * along / period + phase) * frequency)
    v = np.sin((2 * np.pi * across / period + phase) * frequency)
    return np.asarray(np.choose(kind, [np.sqrt(2.0) * u, 2.0 * u * v, u + v]), dtype=np.float32)


def _smooth_noise(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> Float32Array:
    """Returns noise of zero mean and unit deviation whose blobs measure about `scale` pixels."""
    coarse = (max(2, round(shape[1] / scale)), max(2, round(shape[0] / scale)))
    field = cv2.resize(rng.standard_normal(coarse[::-1], dtype=np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)
    field -= field.mean()
    return np.asarray(field / (np.sqrt(np.mean(field * field)) + 1e-6), dtype=np.float32)


def _logistic(values: Float32Array) -> Float32Array:
    return np.asarray(1 / (1 + np.exp(-1.5 * values)))


def _mirrored(places: IntArray, side: int) -> IntArray:
    """Returns places within 0 … side − 1, those outside reflected at the edge; none farther off than a side."""
    places = np.abs(places)
    return np.where(places >= side, 2 * (side - 1) - places, places)
