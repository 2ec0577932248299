"""How far embeddings are from saying the same of every image: their spread, and how many dimensions they use."""

import math

import torch
from torch import Tensor

from pairlab.losses.embeddings import unit_rows, widened

EPSILON = 1e-7
"""ε of RankMe's equation 1 in single precision."""


def relative_deviation(rows: Tensor) -> float:
    """Returns the standard deviation of a dimension of the rows at unit length, as a multiple of 1/√dim.

        √D · (1/D) Σ_j std_i(z_ij / ‖z_i‖₂)

    1 where the rows point everywhere, as isotropic ones do; 0 where all point one way.

    Args:
        rows: embeddings of any length, float (N, D), at least two.

    Source: Chen and He, 2021, arXiv 2011.10566, section 4.1 and figure 2.
    """
    dim = rows.shape[1]
    return float(unit_rows(rows).std(dim=0).mean()) * math.sqrt(dim)


def deviation(rows: Tensor) -> float:
    """Returns the standard deviation of a dimension of the rows as they are: what VICReg holds at 1 or above.

        (1/D) Σ_j std_i(z_ij)

    Args:
        rows: embeddings, float (N, D), at least two.

    Source: Bardes et al., 2022, arXiv 2105.04906, equation 1.
    """
    return float(widened(rows).std(dim=0).mean())


def effective_rank(rows: Tensor) -> float:
    """Returns in how many dimensions the rows lie, by the entropy of their singular values: 1 to min(N, D).

        exp(−Σ_k p_k log p_k)   with p_k = σ_k / Σ_l σ_l + ε

    The rows are taken as they are, neither centred nor scaled. Singular values are roots of the smaller Gram matrix's
    eigenvalues in double precision, a fraction of a decomposition's time.

    Args:
        rows: embeddings, float (N, D), at least one.

    Source: Garrido et al., 2023, RankMe, arXiv 2210.02885, equation 1.
    """
    wide = widened(rows).double()
    gram = wide @ wide.T if len(wide) < wide.shape[1] else wide.T @ wide
    singular = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    total = singular.sum()
    if total == 0:
        return 1.0
    shares = singular / total + EPSILON
    return float((-(shares * shares.log()).sum()).exp())
