"""What the API says about files a job wrote."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

ArtifactKind = Literal["checkpoint", "weights", "prediction", "results", "embedding_map", "uncertainty"]


class ArtifactRead(BaseModel):
    """One file a job wrote."""

    id: str
    job: str
    kind: ArtifactKind
    step: int
    name: str
    bytes: int
    sha256: str
    details: dict[str, Any]
    created_at: datetime
    url: str


class MapTile(BaseModel):
    """One chip of an embedding map, and its place in the picture."""

    scene: str
    acquisition: str
    y: int
    x: int
    size: int
    """Height and width of the chip, pixels."""
    changed_pixels: int
    """Of the place's relevant change."""
    row: int
    column: int
    image_url: str
    """The chip as the dataset has it, PNG."""


class EmbeddingMapRead(BaseModel):
    """What a network made of a few chips after some steps: equal colours are like features."""

    artifact: str
    step: int
    url: str
    """PNG of all tiles, each `cells` × `cells` pixels."""
    cells: int
    explained: list[float]
    """Share of the features' variance in the three colours."""
    tiles: list[MapTile]
