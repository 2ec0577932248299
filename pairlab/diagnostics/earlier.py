"""What earlier attempts of a run have told already, so that the next one does not tell it again."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np

from pairlab.scenes.scene import UInt8Array


@dataclass(frozen=True, slots=True)
class EarlierMap:
    """An embedding map that counts."""

    step: int
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """Warnings and embedding maps of earlier attempts."""

    warned: tuple[str, ...] = ()
    """Kinds of warnings, as often as they were told."""
    maps: tuple[EarlierMap, ...] = ()

    def newest_map(self, step: int) -> UInt8Array | None:
        """Returns the newest map up to a step, RGB; None where there is none or its file is damaged or gone."""
        known = sorted((each for each in self.maps if each.step <= step), key=lambda each: -each.step)
        return next((picture for each in known if (picture := _picture(each)) is not None), None)


NOTHING_EARLIER = Earlier()


def _picture(drawn: EarlierMap) -> UInt8Array | None:
    try:
        content = drawn.path.read_bytes()
    except OSError:
        return None
    if sha256(content).hexdigest() != drawn.sha256:
        return None
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
