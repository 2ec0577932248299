"""Draws the pairs of an arm: pool → rate → budget, exact and equal for every worker count and resume."""

from zlib import crc32

import numpy as np

from pairlab.experiment.pairing import Pairing, Places
from pairlab.pairing.noise import nested_ranks, noisy_count, noisy_places
from pairlab.pairing.pair import CONTROLS, PairList
from pairlab.pairing.policies import Shots, same_image, temporal, without_change
from pairlab.scenes.index import ChipIndex


class PairingRefused(ValueError):
    """The data cannot meet the request; the message holds the true numbers."""


def draw_pairs(
    index: ChipIndex, *, acquisitions: tuple[str, ...], pairing: Pairing, places: Places, seed: int
) -> PairList:
    """Returns the pairs of one arm and seed.

    All arms of an experiment that share `places`, `pairing.pairs` and `seed` use the same chips in the same order; a
    chip is used once.

    Args:
        index: chips of the train split alone.
        acquisitions: names in order of time, at least two for temporal pairs.
        pairing: the policy, resolved (a rate has its control).
        places: the pool shared by all arms.
        seed: the run's seed.

    Raises:
        PairingRefused: too few chips, or an acquisition the dataset does not have.
    """
    noisy = noisy_places(
        index.changed_pixels,
        index.object_change_share,
        min_changed_pixels=places.min_changed_pixels if places.noisy_only else pairing.noise.min_changed_pixels,
        extent=places.extent if places.noisy_only else pairing.noise.extent,
    )
    valid = index.valid_pixels > 0
    pool = {
        "chips": int(valid.sum()),
        "noisy": int((valid & noisy).sum()),
        "clean": int((valid & (index.changed_pixels == 0) & ~index.unknown).sum()),
        "unknown": int((valid & index.unknown).sum()),
    }
    rows = np.flatnonzero(valid & noisy if places.noisy_only else valid)
    _check_pool(len(rows), pool, pairing, places)
    rows = _generator(seed, "places").permutation(rows)[: pairing.pairs]
    chips, chosen_noisy, count = index.rows(rows), noisy[rows], len(rows)

    shots, control = _shots(count, acquisitions, pairing, seed)
    across = (shots[:, 0, 1] != shots[:, 1, 1]) & (control == 0)
    return PairList(
        size=index.chip_size,
        scenes=tuple(scene.name for scene in index.scenes),
        acquisitions=acquisitions,
        scene=chips.scene,
        y=chips.y,
        x=chips.x,
        shots=shots,
        changed_pixels=chips.changed_pixels,
        change_share=chips.change_share,
        object_change_share=chips.object_change_share,
        noisy=across & chosen_noisy,
        unknown=chips.unknown,
        control=control,
        pool=pool,
        warnings=_warnings(pool, chips, across),
    )


def _shots(
    count: int, acquisitions: tuple[str, ...], pairing: Pairing, seed: int
) -> tuple[Shots, np.ndarray[tuple[int], np.dtype[np.int8]]]:
    """Returns what each pair shows, and the control (a position in CONTROLS) that stands in for its change."""
    control = np.zeros(count, dtype=np.int8)
    rng = _generator(seed, "policy")
    if pairing.policy == "same_image":
        acquisition = _position(pairing.acquisition, acquisitions)
        return same_image(count, acquisition=acquisition, dates=len(acquisitions), rng=rng), control
    if len(acquisitions) < 2:
        raise PairingRefused(
            f"temporal pairs need two acquisitions; the dataset has {', '.join(acquisitions) or 'none'}"
        )
    shots = temporal(count, dates=len(acquisitions), rng=rng)
    if pairing.noise.rate is None:
        return shots, control
    ranks = nested_ranks(count, _generator(seed, "noise"))
    controlled = ranks >= noisy_count(count, pairing.noise.rate)
    control[controlled] = CONTROLS.index(pairing.noise.control)
    if pairing.noise.control == "rerender":
        # By rank, so that a pair keeps its state at every rate and the states are balanced at each.
        shots = without_change(shots, controlled, after=ranks % 2 == 1)
    return shots, control


def _check_pool(available: int, pool: dict[str, int], pairing: Pairing, places: Places) -> None:
    if available >= pairing.pairs:
        return
    if places.noisy_only:
        low, high = places.extent
        raise PairingRefused(
            f"{pairing.pairs} pairs at a noise rate need as many places with a relevant change; the train split has "
            f"{pool['noisy']} noisy chips (at least {places.min_changed_pixels} changed pixels, object change share in "
            f"[{low:g}, {high:g}]), {pool['clean']} clean and {pool['unknown']} unknown of {pool['chips']}: "
            f"set pairs to at most {pool['noisy']}, or widen extent"
        )
    raise PairingRefused(
        f"{pairing.pairs} pairs need as many chips; the train split has {pool['chips']} with data "
        f"({pool['clean']} clean, {pool['unknown']} unknown): set pairs to at most {pool['chips']}, "
        "or take smaller chips"
    )


def _warnings(
    pool: dict[str, int], chips: ChipIndex, across: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[str, ...]:
    unknown = int((chips.unknown & across).sum())
    if not unknown:
        return ()
    return (
        f"{unknown} of {len(chips)} pairs show un-classified objects: whether they are noisy is unknown, and they are "
        f"counted neither as noisy nor as clean ({pool['unknown']} such chips in the train split)",
    )


def _position(acquisition: str, acquisitions: tuple[str, ...]) -> int | None:
    if acquisition == "balanced":
        return None
    if acquisition not in acquisitions:
        raise PairingRefused(f"no acquisition {acquisition!r}; the dataset has: balanced, {', '.join(acquisitions)}")
    return acquisitions.index(acquisition)


def _generator(seed: int, purpose: str) -> np.random.Generator:
    """Returns the generator of one purpose, so that a knob of one never moves the draws of another."""
    return np.random.default_rng([seed, crc32(purpose.encode())])
