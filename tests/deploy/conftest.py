from pathlib import Path
from typing import Any

import pytest

from tests.deploy.compose_file import load_compose
from tests.deploy.dockerfile import Dockerfile

ROOT = Path(__file__).parents[2]
FILES = {
    "gpu": [ROOT / "docker-compose.yml"],
    "cpu": [ROOT / "docker-compose.yml", ROOT / "docker-compose.cpu.yml"],
}
SECRETS = {"POSTGRES_PASSWORD": "p@ss/word", "PAIRLAB_TOKEN": "a-token"}


@pytest.fixture(params=sorted(FILES))
def hardware(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(hardware: str) -> dict[str, Any]:
    """The merged files with the required variables alone."""
    return load_compose(FILES[hardware], SECRETS)


@pytest.fixture(scope="session")
def dockerfile() -> Dockerfile:
    return Dockerfile.read(ROOT / "Dockerfile")
