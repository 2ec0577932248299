"""The routes of datasets, their scenes, pairs and change scores: a method per route."""

from typing import Any

import httpx

from frontend.api_paths import part
from frontend.api_records import Page
from frontend.connection import Connection
from frontend.pair_records import Preview
from frontend.scene_query import SceneQuery
from frontend.scene_records import (
    DataRoot,
    Dataset,
    DatasetReport,
    Distribution,
    ExportedFilter,
    Mark,
    SceneDetail,
    SceneObject,
    ScenePage,
)
from frontend.score_records import Score, ScoreCurve

REGISTER_TIMEOUT = httpx.Timeout(600.0, connect=3.0)
"""Registering lists the folder first, which takes a while where it holds many files on a slow disk."""
EVERYTHING = SceneQuery()


class DatasetClient(Connection):
    """What the API knows of datasets."""

    def data_roots(self) -> list[DataRoot]:
        """Returns the folders that imagery may be read from."""
        return self._get(list[DataRoot], "/data-roots")

    def datasets(self, *, cursor: str | None = None, limit: int = 100) -> Page[Dataset]:
        """Returns a page of the registered datasets."""
        return self._get(Page[Dataset], "/datasets", cursor=cursor, limit=limit)

    def dataset(self, name: str) -> Dataset:
        """Returns one dataset."""
        return self._get(Dataset, f"/datasets/{part(name)}")

    def create_dataset(self, name: str, config: dict[str, Any]) -> Dataset:
        """Registers a dataset and returns what is known of it; one of files is then indexed by a job."""
        body = {"name": name, "config": config}
        answer: Dataset = self._request("POST", "/datasets", json=body, timeout=REGISTER_TIMEOUT).json()
        return answer

    def delete_dataset(self, name: str) -> None:
        """Removes a dataset from the list; its files stay."""
        self._request("DELETE", f"/datasets/{part(name)}")

    def report(self, dataset: str) -> DatasetReport:
        """Returns what the index found in a dataset, as far as it is."""
        return self._get(DatasetReport, f"/datasets/{part(dataset)}/report")

    def scenes(
        self,
        dataset: str,
        query: SceneQuery = EVERYTHING,
        *,
        place: int | None = None,
        cursor: str | None = None,
        limit: int = 24,
    ) -> ScenePage:
        """Returns a page of the scenes that pass a filter, in its order, from a place or a cursor on."""
        path = f"/datasets/{part(dataset)}/scenes"
        return self._get(ScenePage, path, **query.to_params(), place=place, cursor=cursor, limit=limit)

    def distribution(self, dataset: str, query: SceneQuery = EVERYTHING) -> Distribution:
        """Returns how the scenes that pass a filter are spread."""
        return self._get(Distribution, f"/datasets/{part(dataset)}/distribution", **query.filter_params())

    def selection(self, dataset: str, query: SceneQuery = EVERYTHING) -> ExportedFilter:
        """Returns a filter as an experiment takes it."""
        return self._get(ExportedFilter, f"/datasets/{part(dataset)}/selection", **query.filter_params())

    def scene(self, dataset: str, scene: str, query: SceneQuery = EVERYTHING) -> SceneDetail:
        """Returns one scene with its metadata, class pixels, and its neighbours among those that pass a filter."""
        return self._get(SceneDetail, f"/datasets/{part(dataset)}/scenes/{part(scene)}", **query.to_params())

    def objects(self, dataset: str, scene: str, acquisition: str) -> list[SceneObject]:
        """Returns the labelled objects of an acquisition."""
        path = f"/datasets/{part(dataset)}/scenes/{part(scene)}/objects/{part(acquisition)}"
        return self._get(list[SceneObject], path)

    def mark(self, dataset: str, scene: str, *, flagged: bool, note: str) -> Mark:
        """Keeps a flag and a note on a scene."""
        path = f"/datasets/{part(dataset)}/scenes/{part(scene)}/mark"
        return self._put(Mark, path, body={"flagged": flagged, "note": note})

    def unmark(self, dataset: str, scene: str) -> None:
        """Forgets flag and note of a scene."""
        self._request("DELETE", f"/datasets/{part(dataset)}/scenes/{part(scene)}/mark")

    def preview(
        self,
        *,
        dataset: str,
        pairing: dict[str, Any],
        scope: dict[str, Any] | None = None,
        chip_size: int = 64,
        seed: int = 0,
        count: int = 12,
        first: int = 0,
    ) -> Preview:
        """Returns the pairs that a pairing policy would draw.

        Args:
            dataset: its name.
            pairing: the policy.
            scope: places, scenes, splits, transductive, method, augmentation and batch_size that are not the defaults.
            chip_size: pixels.
            seed: of the draw.
            count: so many pairs are described.
            first: the place, from 0, of the first of them in the list of all pairs.
        """
        body = {"dataset": dataset, "pairing": pairing, "chip_size": chip_size, "seed": seed, "count": count}
        body |= {"first": first, **(scope or {})}
        return self._post(Preview, "/pairing/preview", body=body)

    def scores(self, dataset: str) -> list[Score]:
        """Returns the change scores of a dataset that are computed or on their way."""
        return self._get(list[Score], f"/datasets/{part(dataset)}/scores")

    def queue_score(self, dataset: str, score: dict[str, Any], *, draw: int = 0) -> Score:
        """Queues the computation of a change score, unless it is computed or on its way."""
        return self._post(Score, f"/datasets/{part(dataset)}/scores", body={"score": score, "draw": draw})

    def score_curve(
        self,
        dataset: str,
        score: str,
        *,
        chip_size: int | None = None,
        min_changed_pixels: int | None = None,
    ) -> ScoreCurve:
        """Returns how well a finished score tells noisy chips from clean ones, of the train split alone."""
        path = f"/datasets/{part(dataset)}/scores/{part(score)}/curve"
        return self._get(ScoreCurve, path, chip_size=chip_size, min_changed_pixels=min_changed_pixels)
