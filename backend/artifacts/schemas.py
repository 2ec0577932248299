"""What the API says about files a job wrote."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel


class ArtifactRead(BaseModel):
    """One file a job wrote."""

    id: str
    job: str
    kind: Literal["checkpoint", "weights", "prediction", "results"]
    step: int
    name: str
    bytes: int
    sha256: str
    details: dict[str, Any]
    created_at: datetime
    url: str
