"""Whether workers have an encoder, told by its name: this process has none of their libraries."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from sqlalchemy.orm import Session

from backend.jobs import workers
from pairlab.experiment.encoder_names import LIBRARIES, encoders_like, is_listed, listed_encoders


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a name seems wrong."""

    sentence: str
    certain: bool
    """Whether no worker can have it: the list of names is of the very versions that the workers have."""


def encoder_doubt(session: Session, encoder: str) -> Doubt | None:
    """Returns why an encoder seems not to exist; None where it is in the list.

    Other versions of the libraries, on a worker, may have what the list does not: then it is no more than a warning.
    """
    if is_listed(encoder):
        return None
    expected = listed_encoders().versions
    versions = _worker_versions(session)
    certain = bool(versions) and all(each == expected for each in versions)
    alike = encoders_like(encoder)
    remedy = f"did you mean {' or '.join(alike)}?" if alike else "take one of segmentation-models-pytorch or of timm."
    if certain:
        return Doubt(f"there is no encoder {encoder!r}: {remedy} Names from timm begin with 'tu-'", certain=True)
    made_with = " and ".join(f"{library} {number}" for library, number in expected.items())
    return Doubt(
        f"there is no encoder {encoder!r} in {made_with}, but a worker may have other versions: {remedy} It is looked "
        "up when its job begins",
        certain=False,
    )


def library_versions() -> dict[str, str]:
    """Returns the versions of the encoders' libraries, as far as they are installed; none of them is imported."""
    found = {}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def _worker_versions(session: Session) -> list[Mapping[str, str]]:
    """Returns what each connected worker has; where none is connected, what is installed here, if anything."""
    told: list[Mapping[str, str]] = [worker.facts.get("libraries", {}) for worker in workers.connected(session)]
    return told or [found for found in (library_versions(),) if found]
