"""What the trials of a setup say against the surrogate, and how far the surrogate is to be believed.

Notation: n trials, x_i the i-th configuration, z_i the normal score of its loss's rank among the n (failed trials
behind all others), m(x) the surrogate's ranking score: its *prior*. Everything is lower for better.

The truth is taken as f(x) = w m(x) + r(x), with w in [0, 1] the weight of the prior and r a Gaussian process (Matern
5/2) of variance v(w): `ERROR` squared where the prior is believed, 1 where it is not, as scores have variance 1. A
trial shows it with noise, and on a scale of its own, for ranks among good trials spread as widely as ranks among random
ones:

    h z - b = w m(x) + r(x) + e,    e ~ N(0, NOISE^2).

With C = v K + NOISE^2 I and u = w m, integrating over a flat b leaves P = C^-1 - C^-1 1 1' C^-1 / (1' C^-1 1), and

    log p(z | w, K, h) = (n - 1) log h - (h z - u)' P (h z - u) / 2 - log |C| / 2 - log(1' C^-1 1) / 2 + const,

which is largest where (n - 1) / h - h z'Pz + z'Pu = 0. Every weight with every kernel is one *member*; members are
weighed by that likelihood and by `BELIEF` (Bayesian model averaging). So the prior counts fully without trials, and the
less the less it agrees with them. The probability of w = 0 is the *doubt*, with which a search lets go of the prior.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import ndtr, ndtri

from ..features.dimension import Floats
from .cube import encode

BELIEF: Final = {0.0: 0.10, 0.25: 0.05, 0.5: 0.10, 0.75: 0.25, 1.0: 0.50}
"""Weights of the prior, with what each is believed before any trial."""
ERROR: Final = 0.45
"""Standard deviation of the surrogate's systematic error in a setup that it has not seen, in normal scores."""
NOISE: Final = 0.3
"""Standard deviation of what a single run adds, in normal scores."""
REACHES: Final = (0.5, 1.0)
"""Length scales of the kernels, in typical distances of random configurations."""
STRETCH: Final = (0.1, 1.5)
"""Limits of h."""
LEAST: Final = 0.1
"""The least that an axis counts, as a share of the one that matters most to the surrogate."""
PROBES: Final = 128


def normal_scores(losses: Floats) -> Floats:
    """Return the normal score of each loss's rank, shape (n,); NaN and infinite losses share the last ranks."""
    from scipy.stats import rankdata  # takes a third of a second to load, and without a history nobody needs it

    ranks = rankdata(np.where(np.isfinite(losses), losses, np.inf))
    return np.asarray(ndtri((ranks - 0.5) / max(len(losses), 1)))


def kernel_scales(judge: Callable[[Floats], Floats], sizes: tuple[int, ...], rng: np.random.Generator) -> list[Floats]:
    """Return by what to multiply encoded points, so that distances are in length scales: one array a kernel.

    Half of the kernels count each axis by how much the surrogate's score changes when that axis alone is drawn anew (at
    least `LEAST` of the largest), half count all axes alike, in case the surrogate is wrong in this too.

    Parameters
    ----------
    judge : callable
        Points of the unit cube, shape (n, n_axes) -> the surrogate's scores, shape (n,).
    sizes : tuple of int
        The number of choices of each axis, 0 for a number.
    rng : Generator
    """
    units = rng.random((PROBES, len(sizes)))
    changed = np.repeat(units[None], len(sizes), axis=0)
    for axis in range(len(sizes)):
        changed[axis, :, axis] = rng.random(PROBES)
    scores = judge(np.vstack([units, changed.reshape(-1, len(sizes))])).reshape(len(sizes) + 1, PROBES)
    change = np.sqrt(((scores[1:] - scores[0]) ** 2).mean(axis=1))
    largest = change.max(initial=0)
    relevance = np.maximum(change / largest, LEAST) if largest > 0 else np.ones(len(sizes))
    points = encode(units, sizes)
    scales = []
    for weights in (relevance, np.ones(len(sizes))):
        columns = np.repeat(weights, np.maximum(sizes, 1).astype(int))
        typical = np.sqrt((((points[::2] - points[1::2]) * columns) ** 2).sum(axis=1).mean())
        scales += [columns / (reach * max(typical, 1e-9)) for reach in REACHES]
    return scales


@dataclass(frozen=True)
class Member:
    """One weight of the prior with one kernel, fitted.

    Parameters
    ----------
    weight : float
        w.
    scale : ndarray of shape (n_columns,)
        What encoded points are multiplied by.
    points : ndarray of shape (n, n_columns)
        The trials, scaled.
    alpha : ndarray of shape (n,)
        C^-1 (h z - b - u).
    log_evidence : float
        log p(z | w, K, h) + const.
    """

    weight: float
    scale: Floats
    points: Floats
    alpha: Floats
    log_evidence: float

    @classmethod
    def fit(cls, weight: float, scale: Floats, points: Floats, prior: Floats, scores: Floats) -> Member:
        """Fit to encoded points of shape (n, n_columns), their prior m and normal scores z, both of shape (n,)."""
        scaled, n = points * scale, len(points)
        if n == 0:
            return cls(weight, scale, scaled, np.zeros(0), 0.0)
        factor = cho_factor(_covariance(weight, scaled), lower=True)
        believed, ones = weight * prior, np.ones(n)
        solved = cho_solve(factor, np.column_stack([scores, believed, ones]))
        total = ones @ solved[:, 2]
        level = solved[:, :2].T @ ones / total  # the generalised means of z and u
        centred = solved[:, :2] - np.outer(solved[:, 2], level)  # P z and P u
        zz, zu, uu = scores @ centred[:, 0], scores @ centred[:, 1], believed @ centred[:, 1]
        stretch = _stretch(n, zz, zu)
        misfit = stretch**2 * zz - 2 * stretch * zu + uu
        determinant = 2 * np.log(np.diag(factor[0])).sum()
        evidence = (n - 1) * np.log(stretch) - (misfit + determinant + np.log(total)) / 2
        return cls(weight, scale, scaled, stretch * centred[:, 0] - centred[:, 1], float(evidence))

    def mean(self, points: Floats, prior: Floats) -> Floats:
        """Return the posterior mean of f at encoded points of shape (m, n_columns), shape (m,)."""
        return self.weight * prior + self._cross(points, self.points) @ self.alpha

    def deviation(self, points: Floats, pending: Floats) -> Floats:
        """Return the posterior standard deviation of f, shape (m,), as if the pending points had been observed too."""
        known = np.vstack([self.points, pending * self.scale])
        variance = _variance(self.weight)
        if not len(known):
            return np.full(len(points), np.sqrt(variance))
        half = np.linalg.cholesky(_covariance(self.weight, known))
        explained = solve_triangular(half, self._cross(points, known).T, lower=True)
        return np.sqrt(np.maximum(variance - (explained**2).sum(axis=0), 1e-12))

    def _cross(self, points: Floats, known: Floats) -> Floats:
        return _variance(self.weight) * _matern(points * self.scale, known)


@dataclass(frozen=True)
class Correction:
    """The surrogate's scores, corrected by trials.

    Parameters
    ----------
    members : tuple of Member
        Every weight with every kernel.
    probabilities : ndarray of shape (n_members,)
        Of the members, given the trials.
    points, prior : ndarray of shape (n, n_columns) and (n,)
        The trials, encoded, and their prior.
    """

    members: tuple[Member, ...]
    probabilities: Floats
    points: Floats
    prior: Floats

    @classmethod
    def fit(cls, points: Floats, prior: Floats, losses: Floats, scales: list[Floats]) -> Correction:
        """Fit to n trials.

        Parameters
        ----------
        points : ndarray of shape (n, n_columns)
            Their configurations, as `encode` makes them.
        prior : ndarray of shape (n,)
            What the surrogate says of them; lower is better.
        losses : ndarray of shape (n,)
            Lower is better; NaN or infinite where a trial failed.
        scales : list of ndarray of shape (n_columns,)
            The kernels, from `kernel_scales`.
        """
        scores = normal_scores(losses)
        members = tuple(Member.fit(weight, scale, points, prior, scores) for weight in BELIEF for scale in scales)
        logs = np.array([item.log_evidence + np.log(BELIEF[item.weight]) for item in members])
        shares = np.exp(logs - logs.max())
        return cls(members, shares / shares.sum(), points, prior)

    @property
    def weight(self) -> float:
        """How far the prior is believed, 0 to 1: the mean of w given the trials."""
        return float(sum(share * item.weight for share, item in zip(self.probabilities, self.members, strict=True)))

    @property
    def doubt(self) -> float:
        """The probability that the prior says nothing: of w = 0, given the trials."""
        return float(
            sum(share for share, item in zip(self.probabilities, self.members, strict=True) if not item.weight)
        )

    def mean(self, points: Floats, prior: Floats) -> Floats:
        """Return the corrected scores of encoded points, shape (m,); `prior` holds the surrogate's, same shape."""
        each = zip(self.probabilities, self.members, strict=True)
        return np.asarray(sum((share * item.mean(points, prior) for share, item in each), np.zeros(len(points))))

    def improvement(self, points: Floats, prior: Floats, pending: Floats, pending_prior: Floats) -> Floats:
        """Return by how much each point is expected to lower the best score, shape (m,): Jones et al. 1998, eq. 15.

        The best is the lowest mean among trials and pending points. These count as observed at their mean (Ginsbourger
        et al. 2010, the kriging believer), so that nothing near them promises much. Without either, the gain over the
        best of the points themselves.

        Parameters
        ----------
        points, prior : ndarray of shape (m, n_columns) and (m,)
            Candidates, encoded, and their prior.
        pending, pending_prior : ndarray of shape (p, n_columns) and (p,)
            Configurations that are being trained.
        """
        known, known_prior = np.vstack([self.points, pending]), np.concatenate([self.prior, pending_prior])
        if not len(known):
            known, known_prior = points, prior
        gain = np.zeros(len(points))
        for share, item in zip(self.probabilities, self.members, strict=True):
            spread = item.deviation(points, pending)
            better = item.mean(known, known_prior).min() - item.mean(points, prior)
            ratio = better / spread
            density = np.exp(-(ratio**2) / 2) / np.sqrt(2 * np.pi)
            gain += share * (better * ndtr(ratio) + spread * density)
        return gain


def _stretch(n: int, zz: float, zu: float) -> float:
    """Return the h that the trials make most likely; 1 where they are all alike."""
    if zz < 1e-12:
        return 1.0
    return float(np.clip((zu + np.sqrt(zu**2 + 4 * (n - 1) * zz)) / (2 * zz), *STRETCH))


def _variance(weight: float) -> float:
    return 1 - weight**2 * (1 - ERROR**2)


def _covariance(weight: float, scaled: Floats) -> Floats:
    return _variance(weight) * _matern(scaled, scaled) + NOISE**2 * np.eye(len(scaled))


def _matern(points: Floats, others: Floats) -> Floats:
    """Matern 5/2 of points in length scales, shape (m, n): (1 + d + d^2 / 3) exp(-d), d = sqrt(5) |x - y|."""
    squares = (points**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None, :] - 2 * points @ others.T
    distance = np.sqrt(5 * np.maximum(squares, 0))
    return (1 + distance + distance**2 / 3) * np.exp(-distance)
