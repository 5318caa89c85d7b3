"""Resampling of short autocorrelated series: circular blocks of a length found from the data, corrected intervals.

Blocks of consecutive cycles are drawn, on a circle (Politis and Romano 1992). Their length is that of Politis and White
(2004), as corrected by Patton, Politis and White (2009), which `arch` computes. With a few dozen cycles the bootstrap
itself is too narrow, for two reasons, and both are corrected: blocks miss the covariance beyond their length, by a
share that is known for a process of first order with the autocorrelation of the data; and a variance found from few
blocks is uncertain, so that quantiles of Student's t take the place of normal ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from arch.bootstrap import optimal_block_length
from scipy import stats

#: what is taken for more: effective sizes would vanish
LARGEST_AUTOCORRELATION = 0.95
#: least number of blocks in a series
LEAST_BLOCKS = 3
#: fewer cycles do not show how much they depend on each other: nominal 95 % intervals would cover 62 to 91 % of the
#: true means with autocorrelations of 0.5 and 0.8
LEAST_CYCLES = 8


@dataclass(frozen=True)
class Blocks:
    """How series are resampled.

    Attributes
    ----------
    length : (series,) array of int
        Length of the blocks, in cycles.
    widening : (series,) array
        By what deviations of resampled means from the mean are multiplied.
    """

    length: np.ndarray
    widening: np.ndarray


def blocks_for(series: np.ndarray) -> Blocks:
    """Length of blocks, and widening of intervals, for series of shape (cycles, series).

    Simulations with processes of first order (tests/unit/test_significance.py) find nominal 95 % intervals to cover 92
    to 97 % with 32 to 80 cycles and autocorrelations to 0.8; 92 to 99 % with 8 to 24 cycles and autocorrelations to
    0.5; and 87 to 92 % with as few and 0.8.
    """
    size = len(series)
    length = np.ones(series.shape[1], dtype=int)
    varies = series.std(axis=0) > 1e-12 * np.abs(series).max(axis=0, initial=1e-300)
    if size >= LEAST_CYCLES:  # with fewer, there would be no lags to look at
        for index in np.flatnonzero(varies):
            with np.errstate(divide="ignore", invalid="ignore"):  # at lags as long as the series
                found = optimal_block_length(series[:, index])["circular"].iloc[0]
            length[index] = np.clip(np.ceil(np.nan_to_num(found, nan=1.0)), 1, size // LEAST_BLOCKS)
    correlation = _autocorrelation(series)
    share = np.array([_share_of_variance(phi, size, block) for phi, block in zip(correlation, length, strict=True)])
    effective = size * (1 - correlation) / (1 + correlation)
    # mean and autocorrelation are found from the same few blocks
    freedom = np.maximum(np.minimum(size / length, effective) - 2, 1.5)
    return Blocks(length, stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975) / np.sqrt(share))


def resampled(blocks: Blocks, size: int, samples: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Resampling weights of series by the length of their blocks: which series have it, and (samples, size)."""
    for length in np.unique(blocks.length):
        random = np.random.default_rng([seed, size, length])
        yield blocks.length == length, resampling_weights(size, length, samples, random)


def resampling_weights(size: int, block: int, samples: int, random: np.random.Generator) -> np.ndarray:
    """How often each of `size` cycles is drawn in each sample, over `size`: (samples, size), rows of sum 1.

    Parameters
    ----------
    size : int
        Number of cycles.
    block : int
        Length of the blocks, in cycles.
    samples : int
    random : numpy.random.Generator
    """
    starts = random.integers(size, size=(samples, -(-size // block)))
    rows = (starts[..., None] + np.arange(block)).reshape(samples, -1)[:, :size] % size
    weights = np.zeros((samples, size))
    np.add.at(weights, (np.arange(samples)[:, None], rows), 1.0 / size)
    return weights


def _autocorrelation(series: np.ndarray) -> np.ndarray:
    """Lag-one autocorrelation of each series, its bias in short series removed (Kendall 1954), 0 at least."""
    departure = series - series.mean(axis=0)
    square = (departure**2).sum(axis=0)
    product = (departure[1:] * departure[:-1]).sum(axis=0)
    found = np.divide(product, square, out=np.zeros_like(square), where=square > 0)
    return np.clip(found + (1 + 3 * found) / len(series), 0.0, LARGEST_AUTOCORRELATION)


def _share_of_variance(correlation: float, size: int, block: int) -> float:
    """Expected variance of block means of a process of first order over the true variance of its mean."""
    lags = np.arange(size)
    covariance = correlation**lags
    true = (1 + 2 * ((1 - lags[1:] / size) * covariance[1:]).sum()) / size
    # on a circle a lag is also the rest of the way round; the mean that is taken off is the series' own
    around = np.where(lags > 0, lags * correlation ** (size - lags), 0.0)
    circular = (((size - lags) * covariance + around) / size - true)[:block]
    weights = 1 - np.arange(1, block) / block
    return max((circular[0] + 2 * (weights * circular[1:]).sum()) / size / true, 1e-3)
