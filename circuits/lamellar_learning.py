"""The loop in which granule cells of a class compete for a pattern, and the nearest turns to it."""

import numba
import numpy as np


@numba.njit(cache=True, error_model="numpy")
def write_in_turn(
    drive, labels, chance, blind, faint, weights, wins, seen, usual, met,
    fine, most, most_wins, conscience, cooperative, won,
):  # fmt: skip
    """Let the cells of lamellae compete for patterns in turn, and the winners learn.

    The rule is that of `circuits.lamellae.Lamellae`, whose arrays change in place.

    Parameters
    ----------
    drive : (n, n_lamellae, n_pre) int16
        `fine` steps to a count.
    labels : (n,) int64
    chance : (n, n_lamellae, n_pre) float32
        For steps smaller than a count.
    blind : (n, n_lamellae) float32
        Which cell wins, by chance, where competition is out; else empty.
    faint : (n, n_lamellae) bool
        Parts that write nothing.
    weights, wins, seen, usual, met
        See `Lamellae`.
    fine, most, most_wins : int
        Steps to a count, the largest count, the most wins.
    conscience : float
    cooperative : bool
        Whether a silent cell is for faint parts alone.
    won : (n, n_lamellae, winners) int32
        Filled with the cells that each pattern turned; -1 where there were fewer.

    Returns
    -------
    compared, written : int
        Synapses whose weights were compared, and changed.
    """
    n_lamellae, _, cells, n_pre = weights.shape
    k_most = won.shape[2]
    scores = np.empty(k_most)
    step, per_step = np.int32(fine), np.float32(1.0 / fine)
    compared, written = 0, 0
    for i in range(drive.shape[0]):
        c = labels[i]
        age = 0
        while (seen[c] >> (age + 1)) > 0 and age < met.size - 1:
            age += 1
        if seen[c] > 0:
            met[age] += 1
        for l in range(n_lamellae):
            u = drive[i, l]
            chosen = won[i, l]
            n_fresh, n_used, silent = 0, 0, -1
            nearest = np.inf
            scores[:] = np.inf
            for k in range(cells):
                if wins[l, c, k] == 0:
                    n_fresh += 1
                    continue
                w = weights[l, c, k]
                total = np.int32(0)
                for d in range(n_pre):
                    gap = np.int32(u[d]) - step * np.int32(w[d])
                    total += np.int32(gap * gap)
                compared += n_pre
                n_used += 1
                nearest = min(nearest, float(total))
                if cooperative and not w.any():
                    silent = k  # It is for faint parts alone.
                    continue
                score = total * np.float64(wins[l, c, k]) ** conscience
                place = k_most
                while place > 0 and score < scores[place - 1]:
                    place -= 1
                if place < k_most:
                    for q in range(k_most - 1, place, -1):
                        scores[q], chosen[q] = scores[q - 1], chosen[q - 1]
                    scores[place], chosen[place] = score, k
            if seen[c] > 0 and n_used > 0:
                own = np.float32(nearest) * per_step * per_step
                usual[l, age] += (own - usual[l, age]) / np.float32(met[age])
            if blind.size and n_used > 0 and n_fresh == 0:
                chosen[0] = min(int(blind[i, l] * cells), cells - 1)
            if n_fresh > 0:
                q = 0
                chosen[:] = -1
                for k in range(cells):
                    if wins[l, c, k] == 0 and q < k_most:
                        chosen[q] = k
                        q += 1
            if faint[i, l]:
                if silent >= 0:
                    chosen[0] = silent
                chosen[1:] = -1
            for q in range(k_most):
                if chosen[q] < 0:
                    continue
                winner = chosen[q]
                n = min(int(wins[l, c, winner]) + 1, most_wins)
                if winner == silent or (faint[i, l] and n == 1):
                    wins[l, c, winner] = n
                    continue
                if faint[i, l]:
                    continue
                wins[l, c, winner] = n
                w = weights[l, c, winner]
                for d in range(n_pre):
                    goal = w[d] + (np.float32(u[d]) * per_step - w[d]) / np.float32(n)
                    w[d] = min(int(goal + chance[i, l, d]), most)
                written += n_pre
        seen[c] += 1
    return compared, written
