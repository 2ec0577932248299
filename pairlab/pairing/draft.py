"""What becomes of the places of a list: noisy pairs, mismatched ones, and those that a control stands in for."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.pairing import Extent, Noise
from pairlab.pairing.controls import clean_places, least_rate, same_acquisition, without_change
from pairlab.pairing.extents import named, places_within, reachable_rate
from pairlab.pairing.mismatch import draw_partners
from pairlab.pairing.noise import every_second, first_eligible, mismatched_count, noisy_count
from pairlab.pairing.pair import CONTROLS, PairList
from pairlab.pairing.places import PlaceList
from pairlab.pairing.policies import Shots
from pairlab.pairing.randomness import generator
from pairlab.pairing.refusal import PairingRefused
from pairlab.scenes.index import ChipIndex

Rows = NDArray[np.intp]
BoolArray = NDArray[np.bool_]
NEGLIGIBLE = 0.01
"""Share of the pairs whose places may be seen once more than others for arms to count as matched in exposure."""


@dataclass
class Draft:
    """Pairs while they are drawn; arrays of shape (pairs,) unless they say otherwise."""

    index: ChipIndex
    rows: Rows
    """Rows of the index: the anchors' places."""
    positive_rows: Rows
    shots: Shots
    noisy: BoolArray
    mismatched: BoolArray
    unknown: BoolArray
    control: NDArray[np.int8]
    exposure_matched: bool = True
    warnings: list[str] = field(default_factory=list)

    @staticmethod
    def of_places(index: ChipIndex, listed: PlaceList, shots: Shots) -> "Draft":
        """Returns a pair of each place, none of them noisy."""
        nowhere, rows = np.zeros(len(listed), dtype=bool), listed.rows
        control = np.zeros(len(listed), dtype=np.int8)
        return Draft(index, rows, rows, shots, nowhere, mismatched=nowhere, unknown=nowhere, control=control)

    def set_roles(self, listed: PlaceList, noise: Noise, *, seed: int, last: int, where: str) -> None:
        """Decides which pairs are noisy, which mismatched and which controlled, and what they show then."""
        count = len(listed)
        order = generator(seed, "noise").permutation(count)
        chosen = np.zeros(count, dtype=bool)
        if noise.rate is not None:
            chosen = _chosen_noisy(listed, noise.rate, noise.extent, order=order, where=where)
        mismatched = mismatched_count(count, rate=noise.rate, mismatch_rate=noise.mismatch_rate)
        self.mismatched = first_eligible(order[::-1], ~chosen, mismatched)
        if noise.rate is None:
            # Change is known between the first and the last acquisition: what did not change between them, did at no
            # time; what did, may have before or after two others.
            ends = (self.shots[:, :, 0].min(axis=1) == 0) & (self.shots[:, :, 0].max(axis=1) == last)
            chosen = listed.noisy & ends
            self.unknown = (listed.unknown | ((listed.changed_pixels > 0) & ~ends)) & ~self.mismatched
            self._tell_unknown(listed)
        self.noisy = chosen & ~self.mismatched
        if noise.rate is not None:
            self._control(listed, noise, order, seed=seed, where=where)
        if mismatched:
            self._mismatch(listed, noise, seed=seed)

    def _control(self, listed: PlaceList, noise: Noise, order: Rows, *, seed: int, where: str) -> None:
        controlled = ~self.noisy & ~self.mismatched
        self.control[controlled] = CONTROLS.index(noise.control)
        if not controlled.any():
            return
        if noise.control in ("rerender", "same_acquisition"):
            show = without_change if noise.control == "rerender" else same_acquisition
            self.shots = show(self.shots, controlled, after=every_second(order, listed.part))
        if noise.control == "same_acquisition":
            self.warnings.append(
                f"control same_acquisition shows {int(controlled.sum())} of {len(listed)} pairs as one image with "
                "itself: they lose light, season and every other difference together with the change"
            )
        if noise.control == "replace":
            self._replace(listed, noise, controlled=np.flatnonzero(controlled), order=order, seed=seed, where=where)

    def _replace(
        self, listed: PlaceList, noise: Noise, *, controlled: Rows, order: Rows, seed: int, where: str
    ) -> None:
        found = clean_places(
            self.index, listed=listed.rows, controlled=controlled, order=order, rng=generator(seed, "replace")
        )
        if found.clean < len(controlled):
            raise PairingRefused(
                _too_few_clean(listed, noise, controlled=len(controlled), clean=found.clean, where=where)
            )
        self.rows = self.positive_rows = listed.rows.copy()
        self.rows[controlled] = found.rows
        self.exposure_matched = False
        if found.other_event:
            self.warnings.append(
                f"{found.other_event} of {len(controlled)} places in the stead of noisy ones are of another event, "
                "whose own has too few clean chips"
            )

    def _mismatch(self, listed: PlaceList, noise: Noise, *, seed: int) -> None:
        positions = np.flatnonzero(self.mismatched)
        partners = draw_partners(
            self.index,
            listed=listed.rows,
            positions=positions,
            shots=self.shots,
            noise=noise,
            rng=generator(seed, "mismatch"),
        )
        self.positive_rows = self.rows.copy()
        self.positive_rows[positions] = partners.rows
        if partners.added:
            self.exposure_matched &= partners.added <= NEGLIGIBLE * len(listed)
            self.warnings.append(
                f"{partners.added} of {len(positions)} mismatched pairs show a place that is thereby seen more often "
                "than others: the mismatched pairs among themselves have no other that fits"
            )

    def _tell_unknown(self, listed: PlaceList) -> None:
        unclassified = int(np.count_nonzero(self.unknown & listed.unknown))
        between = int(np.count_nonzero(self.unknown)) - unclassified
        if unclassified:
            self.warnings.append(
                f"{unclassified} of {len(listed)} pairs show un-classified objects: whether they are noisy is unknown, "
                f"and they are counted neither as noisy nor as clean ({listed.pool['unknown']} such chips in all)"
            )
        if between:
            self.warnings.append(
                f"{between} of {len(listed)} pairs show a place that changed between the first and the last "
                "acquisition, by two others: whether they are noisy is unknown"
            )

    def pairs(self, acquisitions: tuple[str, ...], noise: Noise, listed: PlaceList, *, seed: int) -> PairList:
        """Returns the pairs, before any filter."""
        index, rows, positive, count = self.index, self.rows, self.positive_rows, len(self.rows)
        shift = np.zeros((count, 2))
        if noise.shift_px > 0:
            shift = generator(seed, "shift").standard_normal((count, 2)) * noise.shift_px
        changed, objects = index.changed_pixels[rows], index.object_pixels[rows]
        valid = np.maximum(index.valid_pixels[rows], 1)
        anchors = [column[rows] for column in (index.scene, index.y, index.x)]
        same = positive is rows
        positives = anchors if same else [column[positive] for column in (index.scene, index.y, index.x)]
        return PairList(
            size=index.chip_size,
            scenes=tuple(scene.name for scene in index.scenes),
            acquisitions=acquisitions,
            scene=anchors[0],
            y=anchors[1],
            x=anchors[2],
            positive_scene=positives[0],
            positive_y=positives[1],
            positive_x=positives[2],
            shots=self.shots,
            shift=shift,
            changed_pixels=changed,
            change_share=changed / valid,
            object_change_share=changed / np.maximum(objects, 1),
            object_share=objects / valid,
            noisy=self.noisy,
            mismatched=self.mismatched,
            unknown=self.unknown,
            control=self.control,
            score=np.full(count, np.nan),
            pool=listed.pool,
            exposure_matched=self.exposure_matched,
            warnings=tuple(self.warnings),
        )


def _chosen_noisy(listed: PlaceList, rate: float, extent: Extent, *, order: Rows, where: str) -> BoolArray:
    """Returns which positions are noisy at the asked rate: the first that lie in the extent, in the seed's order."""
    inside = places_within(listed.share, extent)
    wanted, found = noisy_count(len(listed), rate), int(np.count_nonzero(inside))
    if found < wanted:
        raise PairingRefused(
            f"noise.rate {rate:g} of {len(listed)} pairs needs {wanted} places with an object change share in "
            f"{named(extent)}, and the list that all arms share has {found} of them ({where}): set noise.rate to "
            f"at most {reachable_rate(found, len(listed)):g}, or widen extent"
        )
    return first_eligible(order, inside, wanted)


def _too_few_clean(listed: PlaceList, noise: Noise, *, controlled: int, clean: int, where: str) -> str:
    """Returns how many clean places are missing, and the rate and the budget that can be reached."""
    count, rate = len(listed), noise.rate or 0.0
    mismatched = mismatched_count(count, rate=rate, mismatch_rate=noise.mismatch_rate)
    noisy = count - mismatched - clean
    remedies = []
    if noisy <= int(np.count_nonzero(places_within(listed.share, noise.extent))):
        remedies.append(f"set noise.rate to at least {least_rate(count, noisy=noisy):g}")
    pairs = min(count - 1, int((clean + 2) / max(1 - rate - noise.mismatch_rate, 1 / count)))
    while pairs > 1 and clean < pairs - noisy_count(pairs, rate) - mismatched_count(
        pairs, rate=rate, mismatch_rate=noise.mismatch_rate
    ):
        pairs -= 1
    remedies += [f"set pairs to at most {pairs}"] * (pairs > 1) + ["take another control"]
    return (
        f"control replace needs {controlled} clean chips (no changed and no unknown pixel) in the stead of as many "
        f"noisy ones; {where} has {clean}: {', or '.join(remedies)}"
    )
