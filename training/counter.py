"""Random numbers by counting: a member's stream depends on its seed and a counter alone.

Every number is a hash of (stream, counter), so a member of a population draws the same data whoever trains beside it,
on any device, and nothing has to be stored. The hash is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) in wrapping
64-bit integers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed integer
_MULTIPLIERS = (-4658895280553007687, -7723592293110705685)  # 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Return x >> bits with zeros shifted in, as unsigned integers do."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def scramble(x: Tensor) -> Tensor:
    """Return SplitMix64's finalizer of each 64-bit integer: a bijection whose output bits look independent."""
    x = (x ^ _shifted(x, 30)) * _MULTIPLIERS[0]
    x = (x ^ _shifted(x, 27)) * _MULTIPLIERS[1]
    return x ^ _shifted(x, 31)


def random_bits(stream: Tensor, counter: Tensor) -> Tensor:
    """Return number `counter` of each stream, 64 random bits as int64; the arguments broadcast."""
    return scramble(stream + GOLDEN * (counter + 1))


def random_below(stream: Tensor, counter: Tensor, limit: int) -> Tensor:
    """Return random integers in 0 .. limit - 1 (int64); limit up to 2**62, bias below limit / 2**63."""
    return _shifted(random_bits(stream, counter), 1) % limit


def random_uniform(stream: Tensor, counter: Tensor) -> Tensor:
    """Return random numbers in [0, 1), multiples of 2**-24, in torch's default dtype."""
    return _shifted(random_bits(stream, counter), 40).to(torch.get_default_dtype()) * 2.0**-24


def random_normal(stream: Tensor, counter: Tensor) -> Tensor:
    """Return standard normal numbers by Box and Muller's transform of the numbers 2 counter and 2 counter + 1."""
    radius = torch.sqrt(-2 * torch.log1p(-random_uniform(stream, 2 * counter)))
    return radius * torch.cos(2 * math.pi * random_uniform(stream, 2 * counter + 1))
