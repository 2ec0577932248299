"""Draws the pairs of an arm: places → rate and mismatch → shift → filter, exact and equal wherever it is drawn."""

from dataclasses import replace

from pairlab.experiment.pairing import ChangeScoreFilter, Pairing, PlaceExtent, Places
from pairlab.pairing.cell_scores import CellScores
from pairlab.pairing.draft import Draft
from pairlab.pairing.filtering import filtered, fitted_threshold, scores_shown
from pairlab.pairing.pair import PairList
from pairlab.pairing.places import draw_places
from pairlab.pairing.policies import MOST_ACQUISITIONS, Shots, same_image, temporal
from pairlab.pairing.randomness import generator
from pairlab.pairing.refusal import PairingRefused
from pairlab.pairing.time_gap import dates_to_pair
from pairlab.scenes.index import ChipIndex

__all__ = ["PairingRefused", "draw_pairs"]

TRAIN_SPLIT = "the train split"


def draw_pairs(
    index: ChipIndex,
    *,
    acquisitions: tuple[str, ...],
    pairing: Pairing,
    places: Places,
    seed: int,
    scores: CellScores | None = None,
    where: str = TRAIN_SPLIT,
) -> PairList:
    """Returns the pairs of one arm and seed.

    All arms of an experiment that share `places`, `pairing.pairs` and `seed` use the same chips in the same order; a
    chip is used once. Each knob has its own randomness and moves no other's draws; at a higher rate, mismatch rate or
    shift the pairs of a lower one stay as they are, noisy, mismatched or moved.

    Args:
        index: chips that may be used: of the train split alone, or of all with nothing known of the others' labels.
        acquisitions: names in order of time, the same of all scenes; at least two for temporal pairs.
        pairing: the policy, resolved (a rate has its control).
        places: the pool shared by all arms; with a rate it is that of the noisy places, whatever it says.
        seed: the run's seed.
        scores: the dataset's change scores; needed by a filter that goes by them.
        where: what a refusal calls the index.

    Raises:
        PairingRefused: the data cannot meet the request; the message holds the numbers and what can be reached.
    """
    noise = pairing.noise
    _check(acquisitions, pairing, scores)
    if noise.rate is not None and not places.noisy_only:
        extents = (PlaceExtent(extent=noise.extent, rate=1.0),)
        places = Places(noisy_only=True, extents=extents, min_changed_pixels=noise.min_changed_pixels)
    if not places.noisy_only:
        places = places.model_copy(update={"min_changed_pixels": noise.min_changed_pixels})
    listed = draw_places(index, places=places, extent=noise.extent, count=pairing.pairs, seed=seed, where=where)
    draw = Draft.of_places(index, listed, _shots(pairing, acquisitions, seed))
    if pairing.policy == "temporal":
        draw.set_roles(listed, noise, seed=seed, last=len(acquisitions) - 1, where=where)
    pairs = draw.pairs(acquisitions, noise, listed, seed=seed)
    if scores is not None:
        score = scores_shown(
            index,
            scores,
            rows=draw.rows,
            shots=draw.shots,
            mismatched=draw.mismatched,
            dates=len(acquisitions),
        )
        pairs = replace(pairs, score=score)
    threshold = None
    if isinstance(pairing.filter, ChangeScoreFilter) and scores is not None:
        threshold = fitted_threshold(pairing.filter, index, scores)
    return filtered(pairs, pairing, threshold=threshold)


def _shots(pairing: Pairing, acquisitions: tuple[str, ...], seed: int) -> Shots:
    """Returns what each pair shows where no control stands in for it."""
    rng = generator(seed, "policy")
    if pairing.policy == "temporal":
        dates = dates_to_pair(acquisitions, pairing.time_gap)
        return temporal(pairing.pairs, dates=dates, rng=rng, rng_of_dates=generator(seed, "time_gap"))
    chosen = None if pairing.acquisition == "balanced" else acquisitions.index(pairing.acquisition)
    return same_image(pairing.pairs, acquisition=chosen, dates=len(acquisitions), rng=rng)


def _check(acquisitions: tuple[str, ...], pairing: Pairing, scores: CellScores | None) -> None:
    """Refuses acquisitions that the dataset does not have, and a filter without what it goes by."""
    named = ", ".join(acquisitions) or "none"
    if len(acquisitions) > MOST_ACQUISITIONS:
        raise PairingRefused(
            f"scenes with {len(acquisitions)} acquisitions cannot be paired: leave at most {MOST_ACQUISITIONS} in the "
            "manifest"
        )
    if pairing.policy == "temporal" and len(acquisitions) < 2:
        raise PairingRefused(f"temporal pairs need two acquisitions; the dataset has {named}")
    if pairing.acquisition != "balanced" and pairing.acquisition not in acquisitions:
        raise PairingRefused(f"no acquisition {pairing.acquisition!r}; the dataset has: balanced, {named}")
    rate, control = pairing.noise.rate, pairing.noise.control
    if rate is not None and rate < 1 and control is None:
        raise PairingRefused(f"noise.rate {rate:g} needs a control that stands in for the other pairs: name one")
    if pairing.filter.by == "change_score" and scores is None:
        raise PairingRefused(
            "the filter goes by a change score that has not been computed for this dataset yet: compute it first"
        )
