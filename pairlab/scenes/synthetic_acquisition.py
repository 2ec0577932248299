"""How an acquisition of a synthetic scene sees it: every nuisance, drawn and applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.synthetic_scenes import SyntheticScenes
from pairlab.scenes.scene import UInt8Array
from pairlab.scenes.synthetic_draws import Purpose, SceneKey
from pairlab.scenes.synthetic_layout import Float32Array, Offset

ILLUMINATION = 0.35
"""Standard deviation at strength 1 of the light's logarithm, and of its slope across the scene."""
COLOUR = 0.25
"""Standard deviation at strength 1 of each band's logarithm."""
HAZE = 0.6
"""Greatest share of the veil at strength 1; it is uniform from 0."""
SENSOR_NOISE = 0.06
"""Standard deviation at strength 1, of a range of 1."""
SEASON = 0.6
"""Standard deviation at strength 1 of vegetation and of drought."""
BLUR = 2.0
"""Greatest standard deviation of the Gaussian at strength 1, pixels; it is uniform from 0."""


@dataclass(frozen=True, slots=True)
class Nuisance:
    """What an acquisition's conditions are; what is 0 (light and cast: 1) has no effect."""

    light: float
    slope: NDArray[np.float64]
    """Change of the light from edge to edge, down and across, shape (2,)."""
    cast: NDArray[np.float64]
    """Gain of each band, shape (3,)."""
    veil: float
    """Share of the haze in what is seen."""
    veil_colour: float
    noise: float
    """Standard deviation, of a range of 1."""
    vegetation: float
    drought: float
    blur: float
    """Standard deviation of the Gaussian, pixels."""
    lean: Offset
    """How far objects are displaced, the ground is not."""
    shift: Offset
    """How far the whole image is displaced."""

    @property
    def object_offset(self) -> Offset:
        """Where objects are seen."""
        return self.lean[0] + self.shift[0], self.lean[1] + self.shift[1]

    def metadata(self) -> Mapping[str, Any]:
        """Returns what a person wants to know of the conditions."""
        return {
            "light": round(self.light, 3),
            "light_slope": ", ".join(f"{each:.2f}" for each in self.slope),
            "colour_cast": ", ".join(f"{each:.2f}" for each in self.cast),
            "haze": round(self.veil, 3),
            "vegetation": round(self.vegetation, 3),
            "drought": round(self.drought, 3),
            "blur_px": round(self.blur, 3),
            "sensor_noise": round(self.noise, 4),
            "parallax_px": f"{self.lean[0]}, {self.lean[1]}",
            "misregistration_px": f"{self.shift[0]}, {self.shift[1]}",
        }


def draw_nuisance(knobs: SyntheticScenes, key: SceneKey, acquisition: int) -> tuple[Nuisance, np.random.Generator]:
    """Returns the conditions of an acquisition, and the generator of its sensor noise.

    Args:
        knobs: of the generator.
        key: of the scene.
        acquisition: position in time; the first is what displacements are relative to.
    """
    rng = key.generator(Purpose.NUISANCE, acquisition)
    light = np.exp(rng.normal(0.0, ILLUMINATION * knobs.illumination))
    slope = rng.normal(0.0, ILLUMINATION * knobs.illumination, size=2)
    cast = np.exp(rng.normal(0.0, COLOUR * knobs.colour, size=3))
    veil = knobs.haze * rng.uniform(0.0, HAZE)
    veil_colour = rng.uniform(0.6, 0.9)
    vegetation = drought = blur = 0.0
    if knobs.season:
        vegetation, drought = key.generator(Purpose.SEASON, 1 + acquisition).normal(0.0, SEASON * knobs.season, size=2)
    if knobs.blur:
        blur = key.generator(Purpose.BLUR, acquisition).uniform(0.0, BLUR * knobs.blur)
    lean = shift = (0, 0)
    if acquisition:
        lean = _draw_offset(knobs.parallax_px, knobs.size, key.generator(Purpose.PARALLAX, acquisition))
        shift = _draw_offset(knobs.misregistration_px, knobs.size, key.generator(Purpose.REGISTRATION, acquisition))
    nuisance = Nuisance(
        light=float(light),
        slope=slope,
        cast=cast,
        veil=veil,
        veil_colour=veil_colour,
        noise=SENSOR_NOISE * knobs.sensor_noise,
        vegetation=float(vegetation),
        drought=float(drought),
        blur=blur,
        lean=lean,
        shift=shift,
    )
    return nuisance, rng


def acquire(surface: Float32Array, nuisance: Nuisance, rng: np.random.Generator) -> UInt8Array:
    """Returns the surface as one acquisition sees it: light, colour cast, haze, blur, noise; uint8 RGB.

    Args:
        surface: float32 RGB of shape (size, size, 3), in season and with its objects in place.
        nuisance: the acquisition's conditions.
        rng: of the sensor noise.
    """
    size = surface.shape[0]
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    light = nuisance.light * (1 + nuisance.slope[0] * ramp[:, None] + nuisance.slope[1] * ramp[None, :])
    # Rows of size · 3 numbers: NumPy is slow where the last axis is as short as three bands.
    seen = surface.reshape(size, size * 3) * np.repeat(light, 3, axis=1)
    seen *= np.tile(nuisance.cast, size)
    seen *= 1 - nuisance.veil
    seen += nuisance.veil_colour * nuisance.veil
    if nuisance.blur:
        blurred = cv2.GaussianBlur(seen.reshape(surface.shape), (0, 0), nuisance.blur)
        seen = np.asarray(blurred, dtype=np.float64).reshape(seen.shape)
    if nuisance.noise:
        seen += rng.normal(0.0, nuisance.noise, size=seen.shape)
    seen *= 255.0
    seen += 0.5
    return np.asarray(np.clip(seen, 0, 255, out=seen), dtype=np.uint8).reshape(surface.shape)


def _draw_offset(deviation: float, size: int, rng: np.random.Generator) -> Offset:
    """Returns a normal offset in whole pixels, at most a quarter of the frame."""
    if not deviation:
        return 0, 0
    down, across = np.clip(np.round(rng.normal(0.0, deviation, size=2)), -size // 4, size // 4).astype(int).tolist()
    return down, across
