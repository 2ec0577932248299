"""VICRegL: VICReg's criterion on whole images, and on cells matched by where they lie and by what they look like."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pairlab.losses.embeddings import NothingToMatch
from pairlab.losses.feature_matching import nearest
from pairlab.losses.vicreg import vicreg


@dataclass(frozen=True, slots=True)
class LocalMatching:
    """How many cells of each view are matched, and how far apart they may lie."""

    by_place: int
    """γ of matching by place."""
    by_features: int
    """γ of matching by features."""


def local_vicreg(
    cells_a: Tensor,
    cells_b: Tensor,
    places_a: Tensor,
    places_b: Tensor,
    *,
    matching: LocalMatching,
    within: Tensor,
    invariance_weight: float,
    variance_weight: float,
    covariance_weight: float,
) -> Tensor:
    """Returns VICReg's criterion ℓ on matched cells: by place and by features, each from both views in the mean.

        L_s(Z, Z') = ℓ( {Z_p}, {Z'_n(p)} ),  n(p) the cell of the other view whose place is nearest to p's
        L_d(Z, Z') = ℓ( {Z_p}, {Z'_n(p)} ),  n(p) the cell of the other view whose embedding is nearest to p's
        loss = ½ (L_s(Z, Z') + L_s(Z', Z)) + ½ (L_d(Z, Z') + L_d(Z', Z))

    Of each image the γ cells enter whose nearest is nearest. Source: Bardes et al., 2022, arXiv 2210.01571, section
    3.2. Two things differ from the paper. There a cell is matched with the nearest however far it lies, also where two
    views do not overlap; here with none beyond `within`. And there variance and covariance are taken over the batch at
    each rank among an image's matches; here over all matches of the batch: images have different numbers of them, and
    the paper's batch of 2,048 gives as many rows at one rank as a small batch has in all.

    Args:
        cells_a: local embeddings of the first views, float (B, S, D), not normalised.
        cells_b: local embeddings of the second views, float (B, S, D).
        places_a: where the first views' cells lie on the ground, float (B, S, 2).
        places_b: where the second views' cells lie, in the same coordinates.
        matching: numbers of matches.
        within: how far apart two cells matched by place may lie, float (B,), in the unit of the places.
        invariance_weight: λ ≥ 0.
        variance_weight: μ ≥ 0.
        covariance_weight: ν ≥ 0.

    Returns:
        A scalar ≥ 0, float32 (float64 for float64 input) also under autocast. What finds fewer than two matches in the
        whole batch counts nothing.

    Raises:
        NothingToMatch: nothing finds two matches.
        ValueError: shapes or dtypes do not fit; the message prints them.
    """
    if cells_a.ndim != 3 or cells_a.shape != cells_b.shape:
        raise ValueError(
            f"cells must have one shape (B, S, D), found {tuple(cells_a.shape)} and {tuple(cells_b.shape)}"
        )
    if places_a.shape != places_b.shape or places_a.shape != (*cells_a.shape[:2], 2):
        raise ValueError(
            f"places must have shape (B, S, 2) of cells {tuple(cells_a.shape)}, "
            f"found {tuple(places_a.shape)} and {tuple(places_b.shape)}"
        )
    far = torch.full_like(within, torch.inf)
    losses = []
    for a, b, count, limit in (
        (places_a, places_b, matching.by_place, within),
        (cells_a.detach(), cells_b.detach(), matching.by_features, far),
    ):
        ways = ((cells_a, cells_b, a, b), (cells_b, cells_a, b, a))
        matched = [_matched_rows(*way, count=count, within=limit) for way in ways]
        criteria = [
            vicreg(
                *rows,
                invariance_weight=invariance_weight,
                variance_weight=variance_weight,
                covariance_weight=covariance_weight,
            )
            for rows in matched
            if len(rows[0]) > 1
        ]
        if criteria:
            losses.append(torch.stack(criteria).mean())
    if not losses:
        raise NothingToMatch(
            f"nothing to match: no {len(cells_a)} pairs have cells within {float(within.max()):g} pixels of each other "
            "and none are matched by features; views that overlap more (augmentation.crop_scale), a greater "
            "match_tolerance_px or feature_matches above 0 give more"
        )
    return torch.stack(losses).sum()


def _matched_rows(
    cells_a: Tensor, cells_b: Tensor, a: Tensor, b: Tensor, *, count: int, within: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the matched cells of all images as two tensors of rows (matches, D), nearest by `a` and `b`."""
    chosen, squared = nearest(a, b)  # (B, S)
    squared, order = squared.sort(dim=1, stable=True)
    rows, best = order[:, :count], squared[:, :count]
    image, rank = (best <= (within.to(best) ** 2)[:, None]).nonzero(as_tuple=True)
    cell, first = rows[image, rank], image * cells_a.shape[1]
    matched = chosen[image, cell] + first
    # By rows: the gradient of that takes less than half the time of the gradient of two indices.
    return cells_a.flatten(0, 1).index_select(0, cell + first), cells_b.flatten(0, 1).index_select(0, matched)
