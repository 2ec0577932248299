"""Parts of addresses that endpoints share."""

from typing import Annotated

from fastapi import Path

NamePath = Annotated[str, Path(description="Name of a registered dataset.", examples=["quickstart"])]
ScenePath = Annotated[str, Path(description="Name of a scene.", examples=["train-000000"])]
AcquisitionPath = Annotated[str, Path(description="One of the scene's acquisitions.", examples=["pre"])]
