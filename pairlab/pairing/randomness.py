"""Randomness by purpose: no knob moves the draws of another."""

from zlib import crc32

import numpy as np


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Returns the generator of one purpose, equal for equal seeds on every machine."""
    return np.random.default_rng([seed, crc32(purpose.encode())])
