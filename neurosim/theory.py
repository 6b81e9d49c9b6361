"""Storage capacity in closed form or mean field: the yardstick beside every measurement.

Equations are solved, not quoted: a function returns what its paper's condition gives at the
sparsity asked for. Loads are patterns a synapse of one cell, ``alpha = p / C`` with C the fan-in.
Where a paper was not at hand to check an equation's number, its section is cited instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import erf, log_ndtr, ndtr
from scipy.stats import norm

from neurosim.errors import ConfigError

WILLSHAW_LIMIT = math.log(2)
"""Bits a binary synapse stores at best in an infinite net; Willshaw et al. (1969)."""

COVARIANCE_LIMIT = 1 / (2 * math.log(2))
"""Bits a graded synapse stores at best as a -> 0; Tsodyks & Feigelman, Gardner (both 1988)."""

BUHMANN_LIMIT = 0.38
"""Bits a synapse of a net with adaptive threshold holds; Buhmann, Divko & Schulten (1989)."""


@dataclass(frozen=True)
class Capacity:
    """How much fits.

    Parameters
    ----------
    n_patterns : float
        Patterns that can be stored.
    bits_per_synapse : float [bit]
        Information of these patterns over the number of synapses.
    """

    n_patterns: float
    bits_per_synapse: float


def transinformation(sparsity: float, miss: float, false_alarm: float) -> float:
    r"""Return the information one recalled cell gives about the stored one [bit].

    .. math:: I = H(y) - a H(miss) - (1 - a) H(false alarm)

    Parameters
    ----------
    sparsity : float
        Fraction a of cells active in a pattern, 0 < a < 1.
    miss, false_alarm : float
        Probability that an active cell stays silent, and that a silent one fires.

    References
    ----------
    Shannon (1948); Palm (1980) Biol. Cybern. 36:19, sec. 3.
    """
    a = _fraction("transinformation", "sparsity", sparsity)
    _probability("transinformation", "miss", miss)
    _probability("transinformation", "false_alarm", false_alarm)
    fires = a * (1 - miss) + (1 - a) * false_alarm
    return _entropy(fires) - a * _entropy(miss) - (1 - a) * _entropy(false_alarm)


def willshaw_load(n_patterns: float, pre_sparsity: float, post_sparsity: float) -> float:
    r"""Return the fraction of binary synapses that are potentiated.

    .. math:: p_1 = 1 - (1 - a_{pre} a_{post})^M

    References
    ----------
    Willshaw, Buneman & Longuet-Higgins (1969) Nature 222:960, text to Fig. 2;
    Knoblauch, Palm & Sommer (2010) Neural Comput. 22:289, sec. 3.
    """
    _positive("willshaw_load", "n_patterns", n_patterns, zero=True)
    a = _fraction("willshaw_load", "pre_sparsity", pre_sparsity)
    b = _fraction("willshaw_load", "post_sparsity", post_sparsity)
    return -math.expm1(n_patterns * math.log1p(-a * b))


def willshaw_information(
    n_patterns: float, n_pre: int, n_post: int, k_pre: int, k_post: int
) -> float:
    r"""Return the bits a synapse yields from a hetero-associative Willshaw matrix at any load.

    A silent cell fires when all its k_pre synapses happen to be potentiated,
    :math:`p_{01} = p_1^{k}`; an active one always fires. The information is
    :math:`M T(a, 0, p_{01}) / n_{pre}` for a synapse.

    References
    ----------
    Palm (1980), sec. 3; Knoblauch et al. (2010), sec. 3: the binomial approximation, exact for
    independent synapses.
    """
    owner = "willshaw_information"
    for name, k, n in (("k_pre", k_pre, n_pre), ("k_post", k_post, n_post)):
        _active(owner, name, k, n)
    p1 = willshaw_load(n_patterns, k_pre / n_pre, k_post / n_post)
    return n_patterns * transinformation(k_post / n_post, 0.0, p1**k_pre) / n_pre


def willshaw_capacity(n_units: int, k: int, errors: float = 1.0) -> Capacity:
    r"""Return how many pairs an n by n Willshaw matrix holds at a given output error.

    Expecting e false cells in n - k, :math:`p_1 = (e / (n-k))^{1/k}` and
    :math:`M = \ln(1 - p_1) / \ln(1 - k^2/n^2)`; e = 1 is Willshaw's own criterion. As n grows and
    k follows log2 n, the information tends to ln 2 bit a synapse.

    Parameters
    ----------
    n_units, k : int
        Cells on each side, and active ones.
    errors : float
        Expected false cells of a recalled pattern, above 0 and below n - k.

    References
    ----------
    Willshaw et al. (1969), text to Fig. 2; Knoblauch et al. (2010), sec. 3 (p_1 and M at a fixed
    error).
    """
    _active("willshaw_capacity", "k", k, n_units)
    if not 0 < errors < n_units - k:
        raise ConfigError.expected(
            "willshaw_capacity", "errors", f"0 < errors < {n_units - k}", errors, "take 1"
        )
    p1 = (errors / (n_units - k)) ** (1 / k)
    n_patterns = math.log1p(-p1) / math.log1p(-((k / n_units) ** 2))
    return Capacity(n_patterns, willshaw_information(n_patterns, n_units, n_units, k, k))


def hopfield_capacity() -> float:
    r"""Return the load p/N above which a Hopfield net retrieves nothing: 0.1379.

    At zero temperature the equations for overlap m, susceptibility and noise r reduce to one in
    :math:`y = m / \sqrt{2 \alpha r}`,

    .. math:: \sqrt{2 \alpha} = \mathrm{erf}(y) / y - 2 e^{-y^2} / \sqrt{\pi},

    which has a solution y > 0 up to the maximum of the right side.

    References
    ----------
    Amit, Gutfreund & Sompolinsky (1985) Phys. Rev. Lett. 55:1530; (1987) Ann. Phys. 173:30,
    section on T = 0 (replica symmetric).
    """
    return _ags_load(_ags_peak())


def hopfield_overlap(alpha: float) -> float:
    """Return the overlap of a retrieved pattern at load p/N; 0 above capacity.

    Parameters
    ----------
    alpha : float
        Patterns over cells, above 0.

    References
    ----------
    As for `hopfield_capacity`: the outer solution y of the same equation, m = erf(y).
    """
    _positive("hopfield_overlap", "alpha", alpha)
    peak = _ags_peak()
    if alpha > _ags_load(peak):
        return 0.0
    # The right side falls as 1/y from its peak, so that y <= 1 / sqrt(2 alpha).
    y = brentq(lambda y: _ags_load(y) - alpha, peak, 1 + 1 / math.sqrt(2 * alpha))
    return float(erf(y))


def tsodyks_feigelman_capacity(sparsity: float) -> float:
    r"""Return the asymptotic load p/N of sparse binary nets, :math:`1 / (2 a |\ln a|)`, a -> 0.

    References
    ----------
    Tsodyks & Feigelman (1988) Europhys. Lett. 6:101, closing equation of the limit a -> 0.
    """
    a = _fraction("tsodyks_feigelman_capacity", "sparsity", sparsity)
    return 1 / (2 * a * abs(math.log(a)))


def treves_rolls_load(sparsity: float) -> float:
    r"""Return the largest load p/C of a highly diluted net of threshold-linear cells.

    With :math:`T_0 = (1-a)/a`, signal-to-noise w, threshold v (in units of the noise) and
    averages over binary patterns and Gaussian noise z,

    .. math:: A_2 = \langle (\eta/a - 1) [w (\eta/a - 1) - v + z]_+ \rangle, \quad
              A_3 = \langle [w (\eta/a - 1) - v + z]_+^2 \rangle,

    a retrieval state exists while :math:`A_2^2 / (w T_0)^2 - \alpha A_3 = 0` has a solution; gain
    and threshold are free (inhibition sets them), so capacity is the maximum over w and v.

    References
    ----------
    Treves & Rolls (1991) Network 2:371, sec. 3 (highly diluted limit: "a single equation is
    derived"); the normalisation of A_2 and A_3 here is ours.
    """
    a = _fraction("treves_rolls_load", "sparsity", sparsity)
    t0 = (1 - a) / a

    def negative_load(point: np.ndarray) -> float:
        w, v = math.exp(point[0]), point[1]
        on, off = w * t0 - v, -w - v
        a2 = (1 - a) * (_half_mean(on) - _half_mean(off))
        a3 = a * _half_square(on) + (1 - a) * _half_square(off)
        return -((a2 / (w * t0)) ** 2) / a3 if a3 > 0 else 0.0

    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000}
    starts = [(math.log(s * a), v) for s in (1.0, 4.0) for v in (0.5, 2.0, 5.0)]
    fits = [minimize(negative_load, s, method="Nelder-Mead", options=options) for s in starts]
    return -min(fit.fun for fit in fits)


def treves_rolls_k(sparsity: float) -> float:
    """Return the factor k in p = k C / (a ln 1/a) that `treves_rolls_load` gives: 0.2 to 0.3.

    References
    ----------
    Treves & Rolls (1991), text to the closing estimate of p_c: "k is a factor ... roughly in the
    order of 0.2-0.3".
    """
    return treves_rolls_load(sparsity) * sparsity * math.log(1 / sparsity)


def treves_rolls_patterns(fan_in: int, sparsity: float, k: float) -> float:
    """Return ``p = k C / (a ln 1/a)``: the patterns a diluted net holds.

    Parameters
    ----------
    fan_in : int
        Recurrent synapses C onto each cell.
    sparsity : float
        Fraction a of active cells.
    k : float
        From `treves_rolls_k`, or as measured; above 0.

    References
    ----------
    Treves & Rolls (1991), closing estimate; Rolls & Treves (1998), eq. for p_max.
    """
    _positive("treves_rolls_patterns", "fan_in", fan_in)
    _positive("treves_rolls_patterns", "k", k)
    a = _fraction("treves_rolls_patterns", "sparsity", sparsity)
    return k * fan_in / (a * math.log(1 / a))


def gardner_capacity(sparsity: float, kappa: float = 0.0) -> float:
    r"""Return the load p/C no rule can pass: the most patterns a threshold cell can separate.

    .. math:: 1/\alpha = a \int_{-\theta-\kappa}^\infty Dt\,(t + \theta + \kappa)^2
              + (1-a) \int_{\theta-\kappa}^\infty Dt\,(t - \theta + \kappa)^2

    with :math:`\theta` where the two first moments balance. It is 2 at a = 1/2 and tends to
    :math:`1 / (2 a |\ln a|)`.

    Parameters
    ----------
    sparsity : float
        Fraction a of patterns in which the cell is active.
    kappa : float
        Margin in units of the norm of the weights; 0 or greater.

    References
    ----------
    Gardner (1988) J. Phys. A 21:257, sec. 3 on biased patterns, m = 2a - 1.
    """
    a = _fraction("gardner_capacity", "sparsity", sparsity)
    _positive("gardner_capacity", "kappa", kappa, zero=True)

    def imbalance(theta: float) -> float:
        return a * _half_mean(theta + kappa) - (1 - a) * _half_mean(kappa - theta)

    theta = brentq(imbalance, -60.0 - kappa, 60.0 + kappa)
    return 1 / (a * _half_square(theta + kappa) + (1 - a) * _half_square(kappa - theta))


def _ags_load(y: float) -> float:
    right = erf(y) / y - 2 / math.sqrt(math.pi) * math.exp(-y * y)
    return float(0.5 * right * right)


def _ags_peak() -> float:
    bounds, options = (0.5, 4.0), {"xatol": 1e-12}
    found = minimize_scalar(
        lambda y: -_ags_load(y), bounds=bounds, method="bounded", options=options
    )
    return float(found.x)


def _half_mean(x: float) -> float:
    r"""Return :math:`\int Dz [x + z]_+`."""
    return float(x * ndtr(x) + norm.pdf(x))


def _half_square(x: float) -> float:
    r"""Return :math:`\int Dz [x + z]_+^2`."""
    return float((1 + x * x) * math.exp(log_ndtr(x)) + x * norm.pdf(x))


def _entropy(p: float) -> float:
    if p <= 0 or p >= 1:
        return 0.0
    return -p * math.log2(p) - (1 - p) * math.log1p(-p) / math.log(2)


def _check(owner: str, name: str, value: float, good: Callable[[float], bool], what: str) -> float:
    number = float(value)
    if not good(number):  # NaN is never good.
        raise ConfigError.expected(owner, name, what, value, "pass such a number")
    return number


def _fraction(owner: str, name: str, value: float) -> float:
    return _check(owner, name, value, lambda x: 0 < x < 1, "a fraction between 0 and 1")


def _probability(owner: str, name: str, value: float) -> float:
    return _check(owner, name, value, lambda x: 0 <= x <= 1, "a probability in 0..1")


def _positive(owner: str, name: str, value: float, zero: bool = False) -> float:
    if zero:
        return _check(owner, name, value, lambda x: x >= 0, "a number of 0 or greater")
    return _check(owner, name, value, lambda x: x > 0, "a number above 0")


def _active(owner: str, name: str, k: int, n: int) -> None:
    if not 0 < k < n:
        raise ConfigError.expected(owner, name, f"1..{n - 1} active cells", k, "take log2(n)")
