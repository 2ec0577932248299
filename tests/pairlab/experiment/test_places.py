"""Which places the arms of an experiment share, and what of a plan they move."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.expansion import expand, places_of
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import DatasetReference, PretrainJob, job_key
from pairlab.experiment.pairing import Extent, Noise, PlaceExtent, Places

DATASET = DatasetReference(name="d", config=SyntheticDataset(), fingerprint="a" * 64)
LOW, HIGH = (0.0, 0.4), (0.4, 1.0)


def noises(*asked: tuple[float, Extent]) -> tuple[Noise, ...]:
    return tuple(Noise(rate=rate, extent=extent, min_changed_pixels=9) for rate, extent in asked)


def asked_of(places: Places) -> dict[Extent, float]:
    return {each.extent: each.rate for each in places.extents}


@pytest.mark.parametrize(
    ("asked", "extents"),
    [
        ([(0.5, LOW)], {LOW: 1.0}),
        ([(0.0, LOW), (0.25, LOW), (1.0, LOW)], {LOW: 1.0}),
        ([(0.0, LOW)], {LOW: 1.0}),
        ([(0.5, LOW), (0.5, HIGH)], {LOW: 0.5, HIGH: 0.5}),
        ([(0.5, HIGH), (0.25, LOW), (0.75, HIGH)], {LOW: 0.25, HIGH: 0.75}),
        ([(0.0, LOW), (0.5, HIGH)], {HIGH: 1.0}),
        ([(0.0, LOW), (0.5, HIGH), (0.5, LOW)], {LOW: 0.5, HIGH: 0.5}),
        ([(0.0, LOW), (0.0, HIGH)], {LOW: 0.0, HIGH: 0.0}),
    ],
)
def test_places_lie_where_some_arm_takes_its_noisy_pairs_from(
    asked: list[tuple[float, Extent]], extents: dict[Extent, float]
) -> None:
    places = places_of(noises(*asked))
    assert asked_of(places) == extents
    assert (places.noisy_only, places.min_changed_pixels) == (True, 9)


@given(st.permutations([(0.5, LOW), (0.25, HIGH), (0.0, (0.0, 1.0)), (0.75, HIGH)]))
def test_the_order_of_arms_does_not_matter(asked: list[tuple[float, Extent]]) -> None:
    assert places_of(noises(*asked)) == Places(
        noisy_only=True,
        extents=(PlaceExtent(extent=LOW, rate=0.5), PlaceExtent(extent=HIGH, rate=0.75)),
        min_changed_pixels=9,
    )


def pretrainings(*asked: tuple[float, Extent], same_image: bool = False) -> set[str]:
    arms: dict[str, object] = {
        f"{rate} {extent}": {"pairing": {"policy": "temporal", "noise": {"rate": rate, "extent": extent}}}
        for rate, extent in asked
    }
    if same_image:
        arms["same"] = {"pairing": {"policy": "same_image"}}
    experiment = Experiment.model_validate(
        {"name": "e", "dataset": "d", "arms": arms, "reference": next(iter(arms)), "seeds": [0]}
    )
    jobs = expand(experiment, DATASET)
    return {job_key(job.config) for job in jobs if isinstance(job.config, PretrainJob)}


def test_a_further_rung_of_a_rate_ladder_shares_the_pretrainings_of_the_others() -> None:
    short = pretrainings((0.0, LOW), (0.5, LOW), same_image=True)
    assert len(short) == 3
    assert short < pretrainings((0.0, LOW), (0.5, LOW), (1.0, LOW), (0.25, LOW), same_image=True)


def test_a_further_rung_within_the_extents_of_a_ladder_shares_them_too() -> None:
    short = pretrainings((0.0, LOW), (0.5, LOW), (0.5, HIGH))
    assert short < pretrainings((0.0, LOW), (0.25, LOW), (0.5, LOW), (0.5, HIGH))
    more_places = pretrainings((0.0, LOW), (0.5, LOW), (0.75, HIGH))
    assert not short & more_places
