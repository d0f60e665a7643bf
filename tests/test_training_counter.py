"""The counted random numbers against published ones, and against the distributions that they should have."""

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from rnn_warmstart.training.counter import random_below, random_bits, random_normal, random_uniform  # noqa: E402

COUNT = torch.arange(200_000)


def test_bits_are_those_of_splitmix64():
    # the first five numbers of SplitMix64 with seed 1234567, as published with other implementations of it
    published = [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821
    ]  # fmt: skip
    found = random_bits(torch.tensor(1234567), torch.arange(5)).tolist()
    assert [number % 2**64 for number in found] == published


@given(seed=st.integers(0, 2**62), limit=st.integers(1, 2**62))
def test_numbers_stay_below_their_limit(seed, limit):
    found = random_below(torch.tensor(seed), torch.arange(100), limit)
    assert found.min() >= 0 and found.max() < limit


def test_numbers_are_uniform():
    counts = torch.bincount(random_below(torch.tensor(3), COUNT, 100), minlength=100).double()
    chi_square = ((counts - 2000) ** 2 / 2000).sum().item()
    assert 99 - 5 * 14 < chi_square < 99 + 5 * 14  # 99 degrees of freedom, deviation 14


def test_moments_of_uniform_and_normal_numbers():
    uniform, normal = random_uniform(torch.tensor(5), COUNT).double(), random_normal(torch.tensor(5), COUNT).double()
    # 5 standard errors of 200,000 numbers each
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.0033)
    assert normal.mean().item() == pytest.approx(0, abs=0.0112)
    assert normal.var().item() == pytest.approx(1, abs=0.0158)
    assert (normal**4).mean().item() == pytest.approx(3, abs=0.11)


def test_streams_do_not_resemble_each_other():
    a, b = (random_normal(torch.tensor(seed), COUNT).double() for seed in (1, 2))
    assert abs((a * b).mean().item()) < 0.0112
    assert abs((a[1:] * a[:-1]).mean().item()) < 0.0112
