"""Plans on folders of images: more than two dates, other bands, one event alone."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from backend.context import Context
from tests.backend.conftest import API, register_indexed
from tests.backend.problem_document import problem_of
from tests.pairlab.scenes.bitemporal_tree import drawn_image, write_image, write_levir, write_manifest

Make = Callable[..., dict[str, Any]]
DATES = ("2019-01-01", "2020-01-01", "2022-01-01")


def write_dates(folder: Path, *, bands: int) -> None:
    """Writes eight places at three dates, without labels."""
    rng, rows = np.random.default_rng(bands), []
    for number in range(8):
        for date in DATES:
            write_image(folder / f"{number}_{date}.png", drawn_image(rng, size=64, bands=bands))
            split = "train" if number < 6 else "validation" if number < 7 else "test"
            row = {"scene": f"place-{number}", "acquisition": date, "image": f"{number}_{date}.png", "split": split}
            rows.append(row | {"event": "north" if number % 2 else "south"})
    write_manifest(folder, rows)


@pytest.fixture
def three_dates(client: TestClient, context: Context, data_root: Path) -> Iterator[str]:
    write_dates(data_root / "dates", bands=3)
    yield register_indexed(client, context, "three-dates", manifest("dates"))
    shutil.rmtree(data_root / "dates")


@pytest.fixture
def levir(client: TestClient, context: Context, data_root: Path) -> Iterator[str]:
    write_levir(data_root / "levir", seed=1, scenes={"train": 6, "val": 2, "test": 2})
    yield register_indexed(client, context, "levir", {"kind": "bitemporal", "root": "disasters", "folder": "levir"})
    shutil.rmtree(data_root / "levir")


def manifest(folder: str) -> dict[str, str]:
    return {"kind": "bitemporal", "root": "disasters", "folder": folder, "manifest": "manifest.csv"}


def validate(client: TestClient, experiment: dict[str, Any]) -> Any:  # noqa: ANN401
    return client.post(f"{API}/experiments/validate", json={"experiment": experiment})


def test_a_time_gap_takes_the_dates_that_lie_so_far_apart(client: TestClient, three_dates: str) -> None:
    for gap, allowed in (
        ({"steps": [1, 1]}, [DATES[:2], DATES[1:]]),
        ({"days": [700, 800]}, [DATES[1:]]),
        (None, [(DATES[0], DATES[2])]),
    ):
        pairing = {"policy": "temporal", "pairs": 6, "time_gap": gap}
        answer = client.post(f"{API}/pairing/preview", json={"dataset": three_dates, "pairing": pairing}).json()
        shown = {
            tuple(sorted(pair[side]["acquisition"] for side in ("anchor", "positive"))) for pair in answer["pairs"]
        }
        assert shown == set(allowed)
    gap = {"steps": [3, 5]}
    refused = {"dataset": three_dates, "pairing": {"policy": "temporal", "pairs": 6, "time_gap": gap}}
    assert "2" in problem_of(client.post(f"{API}/pairing/preview", json=refused), 422)["detail"]


def test_pairs_of_other_places_need_another_event(client: TestClient, levir: str, three_dates: str) -> None:
    noise = {"mismatch_rate": 0.5, "mismatch_from": "other_event"}
    body = {"pairing": {"policy": "temporal", "pairs": 6, "noise": noise}}
    refused = problem_of(client.post(f"{API}/pairing/preview", json={**body, "dataset": levir}), 422)
    assert "event" in refused["detail"]
    pairs = client.post(f"{API}/pairing/preview", json={**body, "dataset": three_dates}).json()["pairs"]
    assert sum(pair["mismatched"] for pair in pairs) == 3
    assert all(pair["event"] != pair["positive_event"] for pair in pairs if pair["mismatched"])


def test_a_ladder_on_change_masks_has_its_changes_masked(client: TestClient, levir: str, experiment: Make) -> None:
    arms = {
        f"rate {rate}": {"pairing": {"policy": "temporal", "pairs": 4, "noise": {"rate": rate}}} for rate in (0.0, 0.5)
    }
    labels = {"scheme": "change", "train_chips": 4}
    content = experiment(dataset=levir, arms=arms, labels=labels, reference="rate 0.0")
    plan = validate(client, content).json()
    assert plan["realised_noise"] == {"rate 0.0": 0.0, "rate 0.5": 0.5}
    assert plan["balance"]["rate 0.0"] == plan["balance"]["rate 0.5"]
    shown = client.post(f"{API}/experiments/preview", json={"experiment": content}).json()["arms"]
    assert {pair["control"] for pair in shown[0]["pairs"]["pairs"]} == {"masked"}
    content["method"] = {"name": "simclr"}
    assert (
        "arm 'rate 0.0': a noise rate on real images takes control 'masked'"
        in problem_of(validate(client, content), 422)["detail"]
    )


def test_an_arm_on_images_of_other_bands_is_refused(
    client: TestClient, context: Context, data_root: Path, three_dates: str, experiment: Make
) -> None:
    write_dates(data_root / "grey", bands=1)
    grey = register_indexed(client, context, "grey", manifest("grey"))
    shutil.rmtree(data_root / "grey")
    pairing = {"policy": "temporal", "pairs": 6}
    arms = {"own": {"pairing": pairing}, "grey": {"pairing": pairing, "dataset": grey}}
    content = experiment(arms=arms, reference="own")
    (problem,) = problem_of(validate(client, content), 422)["problems"]
    assert problem.startswith("arm 'grey': the images of dataset 'grey' and those of 'scenes', which are segmented")
    assert "other numbers of bands (1 and 3)" in problem
    content["arms"]["grey"]["dataset"] = three_dates
    assert validate(client, content).status_code == 200
