"""The random numbers of synthetic scenes: each purpose has a generator of its own, so that no knob moves another's."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

GENERATOR_VERSION = 1
"""Raised whenever the same knobs would render other pixels."""


class Purpose(IntEnum):
    """What random numbers are for; a number is never given to another purpose."""

    LAYOUT = 0
    GROUND = 1
    NUISANCE = 2
    DAMAGE = 3
    CLASSES = 4
    REGION = 5
    SEASON = 6
    BLUR = 7
    PARALLAX = 8
    REGISTRATION = 9
    LABELS = 10


@dataclass(frozen=True, slots=True)
class SceneKey:
    """What a scene's random numbers depend on."""

    draw: int
    """Which redraw of all scenes."""
    split: int
    number: int
    """Position in the split."""

    def generator(self, purpose: Purpose, *details: int) -> np.random.Generator:
        """Returns a new generator for one purpose and, where it has them, acquisition or object."""
        return np.random.default_rng([GENERATOR_VERSION, self.draw, self.split, self.number, purpose, *details])
