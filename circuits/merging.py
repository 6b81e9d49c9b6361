"""Cells that have learnt alike become one, and the other is fresh again."""

import numpy as np
from numpy.typing import NDArray


def merge_alike(
    weights: NDArray[np.uint8],
    wins: NDArray[np.uint16],
    keep: int,
    rng: np.random.Generator,
) -> int:
    """Merge pairs of cells until no more than `keep` are in use.

    A silent cell, one without any weight, stays as it is. Each time the pair whose merger costs
    least, ``n m / (n + m) |w - v|^2``: what the squared distance of all the patterns behind both
    grows by. The merged cell has the mean of the weights by wins.

    Parameters
    ----------
    weights : (cells, n_pre) uint8 [counts]
        Changed in place; a mean between two counts becomes either by chance.
    wins : (cells,) uint16
        Changed in place; 0 for a fresh cell.
    keep : int
        1 or more.
    rng : numpy.random.Generator

    Returns
    -------
    int
        Cells that are fresh again.

    References
    ----------
    Ward (1963) J. Am. Stat. Assoc. 58:236.
    """
    used = np.flatnonzero((wins > 0) & weights.any(axis=1))
    surplus = len(used) - max(keep, 1)
    if surplus <= 0:
        return 0
    w, n = weights[used].astype(np.float64), wins[used].astype(np.float64)
    length = np.square(w).sum(axis=1)
    cost = length[:, None] + length[None] - 2 * w @ w.T
    cost *= n[:, None] * n[None] / (n[:, None] + n[None])
    np.fill_diagonal(cost, np.inf)
    gone = np.zeros(len(used), dtype=np.bool_)
    for _ in range(surplus):
        one, other = np.unravel_index(cost.argmin(), cost.shape)
        both = n[one] + n[other]
        w[one] += (w[other] - w[one]) * (n[other] / both)
        n[one], gone[other] = both, True
        cost[other], cost[:, other] = np.inf, np.inf
        again = np.square(w - w[one]).sum(axis=1) * n * both / (n + both)
        again[gone], again[one] = np.inf, np.inf
        cost[one], cost[:, one] = again, again
    w[gone], n[gone] = 0, 0
    weights[used] = np.floor(w + rng.random(w.shape))
    wins[used] = np.minimum(n, np.iinfo(wins.dtype).max)
    return surplus


def merge_rare(
    weights: NDArray[np.uint8], wins: NDArray[np.uint16], least: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Merge each cell that stems from too few patterns with the nearest, if there is another.

    The two have the mean of their weights by their wins. But a silent cell, one without any
    weight, has no say in it and stays silent: what a cell had learnt that merges with it is
    forgotten.

    Parameters
    ----------
    weights : (cells, n_pre) uint8 [counts]
        Changed in place; a mean between two counts becomes either by chance.
    wins : (cells,) uint16
        Changed in place; 0 for a fresh cell.
    least : int
        Patterns of which a cell must stem.
    rng : numpy.random.Generator

    Returns
    -------
    list of (int, int)
        In order: which cell is fresh again, and which has its part from now on.
    """
    merged = []
    for rare in np.flatnonzero((wins > 0) & (wins < least)):
        if not 0 < wins[rare] < least:
            continue  # It took part in a merger meanwhile.
        others = np.flatnonzero(wins)
        others = others[others != rare]
        if not len(others):
            break
        own, n = weights[rare].astype(np.float64), int(wins[rare])
        near = others[np.square(weights[others] - own).sum(axis=1).argmin()]
        both = int(wins[near]) + n
        if own.any() and weights[near].any():
            goal = weights[near] + (own - weights[near]) * (n / both)
            weights[near] = np.floor(goal + rng.random(goal.shape))
        wins[near] = min(both, np.iinfo(wins.dtype).max)
        weights[rare], wins[rare] = 0, 0
        merged.append((int(rare), int(near)))
    return merged
