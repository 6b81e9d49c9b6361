"""Attractor steps: from a cue, drive and inhibition lead a network to a fixed point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from circuits.free_capacity import Drive, Trust
from neurosim.codes import SparseCode

CALM = 0.9
"""Overlap of two successive states from which the second is trusted more."""

STILL = 0.995
"""Overlap of two successive states that counts as a fixed point: one cell in 200 flickers."""


@dataclass(frozen=True, eq=False)
class Recall:
    """What a cue brought back.

    Parameters
    ----------
    code : SparseCode
        The last state.
    settled : bool
        Whether it is a fixed point (`STILL`).
    n_steps : int
        Attractor steps taken.
    overlaps : tuple of float
        Overlap of each state with the one before it.
    """

    code: SparseCode
    settled: bool
    n_steps: int
    overlaps: tuple[float, ...]


def settle(
    cue: SparseCode,
    drive: Drive,
    fire: Callable[[NDArray[np.floating]], SparseCode],
    trust: tuple[float, ...],
    most_steps: int,
    prior: float = 0.0,
    believe: Callable[[NDArray[np.floating]], NDArray[np.float64]] | None = None,
) -> Recall:
    """Take attractor steps until the state rests.

    Without `believe` all active cells are trusted alike: each value of trust is kept until the
    state is calm or a third of the steps is over, and a fixed point counts under the last value
    only. With it the first value holds for the cue, then each cell is trusted as far as its own
    drive says, and a fixed point counts when the trust rests too, or goes to and fro between two
    values while the same cells fire.

    Parameters
    ----------
    cue : SparseCode
        Where it starts.
    drive : callable
        ``drive(state, trust) -> (n_units,)``.
    fire : callable
        Inhibition: which cells a drive lets fire.
    trust : tuple of float
        Share of the active cells believed to be right, from the cue on.
    most_steps : int
    prior : float
        What being in the cue adds to a cell's drive in the first step.
    believe : callable, optional
        ``believe(drives) -> trust`` in the cells that fire, given the drive of each.
    """
    state, overlaps, stage = cue, [], 0
    trusted: Trust = trust[0]
    sure = [float(np.mean(trusted))]
    for step in range(most_steps):
        received = drive(state, trusted)
        if step == 0:
            received[cue.active] += prior
        following = fire(received)
        overlaps.append(following.overlap(state))
        state = following
        if believe is not None:
            trusted = believe(received[state.active])
            rests = any(abs(float(np.mean(trusted)) - s) <= 1.0 - STILL for s in sure[-2:])
            sure.append(float(np.mean(trusted)))
        else:
            rests = stage == len(trust) - 1
            if overlaps[-1] >= CALM or (step + 1) * 3 >= most_steps:
                stage = min(stage + 1, len(trust) - 1)
            trusted = trust[stage]
        if rests and overlaps[-1] >= STILL:
            return Recall(state, True, step + 1, tuple(overlaps))
    return Recall(state, False, most_steps, tuple(overlaps))
