"""Addresses the API hands out: always relative, so that they hold behind any host, port or proxy."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from pairlab.experiment.jobs import DatasetReference

API_PREFIX = "/api/v1"


def dataset_url(name: str) -> str:
    """Returns the address of a dataset."""
    return f"{API_PREFIX}/datasets/{quote(name, safe='')}"


def image_url(dataset: DatasetReference, scene: str, acquisition: str, **query: str | int | None) -> str:
    """Returns the address of a scene's image; `query` as the endpoint takes it, null left out."""
    return _scene_url(dataset, scene, f"/images/{quote(acquisition, safe='')}", query)


def mask_url(dataset: DatasetReference, scene: str, acquisition: str, **query: str | int | None) -> str:
    """Returns the address of a scene's label as class indices."""
    return _scene_url(dataset, scene, f"/masks/{quote(acquisition, safe='')}", query)


def change_url(dataset: DatasetReference, scene: str, **query: str | int | None) -> str:
    """Returns the address of a scene's change map."""
    return _scene_url(dataset, scene, "/change", query)


def experiment_url(experiment: str) -> str:
    """Returns the address of an experiment."""
    return f"{API_PREFIX}/experiments/{quote(experiment, safe='')}"


def job_url(job: str) -> str:
    """Returns the address of a job."""
    return f"{API_PREFIX}/jobs/{quote(job, safe='')}"


def artifact_url(artifact: str) -> str:
    """Returns the address of a file a job wrote."""
    return f"{API_PREFIX}/artifacts/{quote(artifact, safe='')}"


def _scene_url(dataset: DatasetReference, scene: str, part: str, query: Mapping[str, str | int | None]) -> str:
    given = {
        key: value
        for key, value in query.items()
        if value is not None and (key != "draw" or dataset.config.kind == "synthetic")
    }
    address = f"{dataset_url(dataset.name)}/scenes/{quote(scene, safe='')}{part}"
    return f"{address}?{urlencode(given)}" if given else address
