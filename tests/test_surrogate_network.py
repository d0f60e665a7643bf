"""The networks: gradients, what they learn, what they make of missing values, how they are stored."""

from __future__ import annotations

from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from rnn_warmstart.surrogate.network import (
    Bins,
    Ensemble,
    Inputs,
    NetworkSettings,
    _adam,
    _backward,
    _initial,
    _layers,
    count_weights,
    moments,
    spread_out,
)


def _table(n, rng):
    matrix = rng.normal(size=(n, 5))
    matrix[:, 4] = rng.integers(0, 3, n)
    target = np.column_stack([np.sin(2 * matrix[:, 0]) * (matrix[:, 4] == 1) + matrix[:, 1], np.cos(matrix[:, 2])])
    matrix[rng.random(n) < 0.2, 3] = np.nan
    return matrix, target


def test_gradients_are_those_of_finite_differences():
    rng = np.random.default_rng(0)
    settings = NetworkSettings(bins=3, dropout=0.0)
    widths = (4, 6, 5, 2 * settings.bins)
    weights = _initial(widths, rng).astype(np.float64)  # the code takes any precision; float64 makes differences exact
    x, y = rng.normal(size=(7, 4)), rng.dirichlet(np.ones(3), size=(7, 2)).reshape(7, 6)
    gradient = np.zeros_like(weights)
    _backward(x, y, _layers(weights, widths), _layers(gradient, widths), settings, rng)

    def loss(flat):
        h = x
        for index, (w, b) in enumerate(_layers(flat, widths)):
            z = h @ w + b
            h = z / (1 + np.exp(-z)) if index < len(widths) - 2 else z
        h = h.reshape(7, 2, 3)
        logarithms = h - np.log(np.exp(h).sum(axis=-1, keepdims=True))
        return -(y.reshape(7, 2, 3) * logarithms).sum(axis=-1).mean()

    for index in rng.choice(len(weights), 30, replace=False):
        step = np.zeros_like(weights)
        step[index] = 1e-6
        slope = (loss(weights + step) - loss(weights - step)) / 2e-6
        assert gradient[index] == pytest.approx(slope, abs=1e-7)


def test_a_target_is_a_gaussian_over_bins_and_its_mean_the_target():
    settings = NetworkSettings(bins=8, reach=2.0, smear=0.75)
    targets = np.array([[0.3, -0.71], [1.1, -5.0]])
    shares = Bins.of(targets, settings).take(np.array([0, 1])).reshape(2, 2, 8)
    normal = NormalDist(0.3, 0.75 * 0.5)
    masses = np.array([normal.cdf(high) - normal.cdf(low) for low, high in pairwise(settings.edges)])
    np.testing.assert_allclose(shares[0, 0], masses / masses.sum(), atol=0.01)  # targets are rounded to 1/32 of a bin
    levels = (settings.edges[1:] + settings.edges[:-1]) / 2
    np.testing.assert_allclose((shares @ levels)[0], targets[0], atol=0.03)
    assert shares[1, 1].argmax() == 0  # below the lowest bin counts as in it
    found = moments(np.log(shares + 1e-30).reshape(2, 16), np.stack([levels, levels**2], axis=1))
    means, deviations = spread_out(found)
    np.testing.assert_allclose(means, shares @ levels, atol=1e-6)
    apart = [[np.sqrt(np.cov(levels, aweights=part, ddof=0)) for part in row] for row in shares]
    np.testing.assert_allclose(deviations, apart, atol=1e-5)


def test_adam_agrees_with_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    ours = rng.normal(size=9)
    theirs = torch.tensor(ours.copy(), requires_grad=True)
    optimizer = torch.optim.Adam([theirs], lr=0.01)
    first, second = np.zeros(9), np.zeros(9)
    for step in range(1, 8):
        gradient = rng.normal(size=9)
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
        _adam(ours, gradient, first, second, 0.01, step)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-6)


def test_it_learns_a_smooth_function_and_an_ensemble_learns_it_better():
    matrix, target = _table(4000, np.random.default_rng(0))
    settings = NetworkSettings(units=32, layers=2, members=3, epochs=30, dropout=0.0)
    ensemble = Ensemble.fit(matrix[:3000], target[:3000], [4], settings, 0)
    error = ((ensemble.predict(matrix[3000:])[0] - target[3000:]) ** 2).mean(axis=0)
    assert (error < 0.2 * target.var(axis=0)).all()  # a line explains half of the first and nothing of the second
    singles = [Ensemble(ensemble.inputs, ensemble.widths, ensemble.weights[[i]], ensemble.levels) for i in range(3)]
    alone = [((one.predict(matrix[3000:])[0] - target[3000:]) ** 2).mean() for one in singles]
    assert error.mean() < np.mean(alone)


@pytest.mark.parametrize(
    "change", [{"units": 8}, {"layers": 1}, {"members": 1}, {"epochs": 1}, {"batch": 50}, {"learning_rate": 1e-3},
               {"dropout": 0.5}, {"bins": 16}, {"reach": 5.0}, {"smear": 2.0}]
)  # fmt: skip
def test_every_setting_has_an_effect(change):
    matrix, target = _table(300, np.random.default_rng(0))
    usual = {"units": 16, "layers": 2, "members": 2, "epochs": 2, "batch": 64}
    plain, changed = (Ensemble.fit(matrix, target, [4], NetworkSettings(**x), 0) for x in (usual, usual | change))
    assert not np.allclose(plain.predict(matrix)[0], changed.predict(matrix)[0])


def test_seed_and_rows_decide_alone():
    matrix, target = _table(300, np.random.default_rng(0))
    settings = NetworkSettings(units=8, layers=1, members=1, epochs=2)
    first, again, other = (Ensemble.fit(matrix, target, [4], settings, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert not np.array_equal(first.weights, other.weights)
    whole, alone = first.predict(matrix), first.predict(matrix[17:18])
    for each, one in zip(whole, alone, strict=True):
        np.testing.assert_allclose(each[17], one[0], atol=1e-5)  # float32, another order of sums
    assert [each.shape for each in first.predict(matrix[:0])] == [(0, 2)] * 2


def test_where_targets_are_noisy_the_deviation_is_large():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(6000, 2))
    noise = np.where(matrix[:, 0] > 0, 0.8, 0.1)
    settings = NetworkSettings(units=32, layers=2, members=2, epochs=20, dropout=0.0)
    ensemble = Ensemble.fit(matrix, (matrix[:, 1] + noise * rng.normal(size=6000))[:, None], [], settings, 0)
    clear = matrix[np.abs(matrix[:, 0]) > 0.5]
    _, deviation = ensemble.predict(clear)
    noisy = clear[:, 0] > 0
    assert np.median(deviation[noisy]) == pytest.approx(0.8, abs=0.1)
    assert 0.1 < np.median(deviation[~noisy]) < 0.3  # bins and smearing add to it


def test_inputs_are_standardised_one_hot_and_nought_where_missing():
    matrix, _ = _table(500, np.random.default_rng(0))
    inputs = Inputs.fit(matrix, [4])
    seen = inputs(matrix)
    assert seen.shape == (500, inputs.width) == (500, 7)
    np.testing.assert_allclose(seen[:, :3].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(seen[:, :3].std(axis=0), 1, atol=0.01)  # a few are cut at 4
    np.testing.assert_array_equal(seen[np.isnan(matrix[:, 3]), 3], 0)
    np.testing.assert_array_equal(seen[:, 4:].argmax(axis=1), matrix[:, 4])
    strange = matrix[:2].copy()
    strange[0, 4], strange[1, 0] = np.nan, 1e9
    assert not inputs(strange)[0, 4:].any() and inputs(strange)[1, 0] == 4


def test_the_number_of_weights():
    assert count_weights((3, 5, 2)) == 4 * 5 + 6 * 2
