"""Signed addresses of thumbnails: handed out with lists of scenes, good without the token until they expire."""

from dataclasses import dataclass
from urllib.parse import quote

from backend.signatures import Signatures
from backend.urls import dataset_url
from pairlab.scenes.scene import Scene

SIZE = 256
"""Longest side of the thumbnails in lists, pixels."""


@dataclass(frozen=True)
class ThumbnailUrls:
    """Addresses of one dataset's thumbnails; equal for hours, so that browsers keep what lies there."""

    signatures: Signatures
    dataset: str
    version: str
    expires: int

    def __call__(self, scene: Scene) -> dict[str, str]:
        """Returns a scene's addresses by acquisition."""
        address = f"{dataset_url(self.dataset)}/scenes/{quote(scene.name, safe='')}/thumbnails"
        query = f"size={SIZE}&v={self.version}&expires={self.expires}"
        return {
            each: f"{address}/{quote(each, safe='')}?{query}&signature={self._signature(scene.name, each)}"
            for each in scene.acquisitions
        }

    def _signature(self, scene: str, acquisition: str) -> str:
        return self.signatures.sign(self.dataset, scene, acquisition, str(SIZE), self.version, str(self.expires))
