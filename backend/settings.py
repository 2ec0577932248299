"""Everything an installation can set, for API, queue and workers alike."""

from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """Read from `PAIRLAB_…` environment variables; the defaults are a private installation in one folder."""

    model_config = SettingsConfigDict(env_prefix="PAIRLAB_", frozen=True, use_attribute_docstrings=True)

    home: Path = Path(".pairlab")
    """Folder of the database, artifacts, logs and the embedded queue server."""
    database_url: str = ""
    """SQLAlchemy URL; empty is SQLite in `home`."""
    redis_url: str = ""
    """Redis-compatible server of the queue; empty is the embedded one's socket in `home`."""
    artifacts_folder: Path | None = None
    """Where runs write checkpoints, weights and predictions; None is `home/artifacts`."""
    data_roots: Annotated[dict[str, Path], NoDecode] = Field(default_factory=dict)
    """`NAME=FOLDER` entries, separated by the path separator: the only places imagery is read from."""
    token: SecretStr | None = None
    """Bearer token asked of every request below the API's prefix; required when bound beyond loopback."""
    signing_key: SecretStr | None = None
    """Signs addresses of thumbnails, at least 16 characters; None makes a key and keeps it in `home`. Several API
    processes behind one address need the same."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ("127.0.0.1", "localhost", "[::1]", "testserver")
    """Host names a request may carry."""
    hardware: str = "cpu"
    """Hardware queue a new job goes to: cpu or gpu."""
    lease_seconds: float = Field(default=20.0, gt=0)
    """A running job whose worker has not renewed its lease for so long is lost."""
    sweep_seconds: float = Field(default=2.0, gt=0)
    """Pause between two looks of the sweeper for lost jobs and missing wake-ups."""
    cancel_grace_seconds: float = Field(default=20.0, gt=0)
    """Time between asking a run to stop and killing it."""
    max_attempts_without_checkpoint: int = Field(default=3, ge=1)
    processes_per_job: int = Field(default=1, ge=1, le=64)
    """Processes of a worker that share a pretraining, one per GPU, as far as they divide its `pretraining.parts`."""
    thumbnail_bytes: int = Field(default=2 * 2**30, ge=0)
    """Room on disk for thumbnails; those not asked for longest make way. All of xBD takes 0.4 GB."""
    store_bytes: int = Field(default=32 * 2**30, ge=0)
    """Room on disk for decoded images, which training reads 50 times faster than PNG; all of xBD takes 69 GB."""

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("signing_key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < 16:
            raise ValueError("signing_key needs at least 16 characters, or anyone could guess it")
        return key

    @field_validator("data_roots", mode="before")
    @classmethod
    def _parse_roots(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        roots = {}
        for entry in filter(None, value.split(":")):
            name, separator, folder = entry.partition("=")
            if not (name and separator and folder):
                raise ValueError(f"data roots are NAME=FOLDER entries separated by ':', got {entry!r}")
            roots[name] = Path(folder).expanduser().absolute()
        return roots

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _parse_hosts(cls, value: object) -> object:
        return tuple(filter(None, value.split(","))) if isinstance(value, str) else value

    @cached_property
    def database(self) -> str:
        """SQLAlchemy URL in force."""
        return self.database_url or f"sqlite:///{self.home / 'pairlab.db'}"

    @cached_property
    def broker(self) -> str:
        """Celery broker URL in force."""
        return self.redis_url or f"redis+socket://{self.home / 'queue' / 'valkey.sock'}"

    @cached_property
    def artifacts(self) -> Path:
        """Folder of artifacts in force."""
        return (self.artifacts_folder or self.home / "artifacts").expanduser().absolute()

    @property
    def index_folder(self) -> Path:
        """Folder of what is known of datasets."""
        return self.home / "index"

    @property
    def store_folder(self) -> Path:
        """Folder of decoded images."""
        return self.home / "store"

    @property
    def thumbnail_folder(self) -> Path:
        """Folder of thumbnails."""
        return self.home / "thumbnails"
