"""What a background error has learned: every statistic finds what was put in, and nothing where there is nothing."""

import numpy as np
import pytest
import torch
from lora_envar.fields.constants import EARTH_RADIUS
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import LinearBalance, SphericalHarmonics, VectorHarmonics
from lora_envar.fields.seeds import generator
from lora_envar.fields.state import channel_index
from lora_envar.verification.learned import (
    BANDS,
    COLUMNS,
    LOOKED_AT,
    Comparison,
    balance,
    correlation_lengths,
    describe,
    deviation_map,
    map_reliability,
    pattern_correlation,
    pointwise_moments,
    relative_deviation,
    shown,
    table_of,
)
from lora_envar.verification.score import REGIONS

GRID = Grid("gaussian", 16, 32)
#: of homogeneous fields; their squares lie within the wavenumbers that maps keep
WAVES = 5
HARMONICS = SphericalHarmonics(GRID, WAVES, torch.float64)
SINE = torch.as_tensor(np.sin(np.radians(GRID.latitude)))[:, None].expand(GRID.shape)


def homogeneous(count, channels, seed=1, harmonics=HARMONICS):
    """Gaussian fields of the same power at all wavenumbers above 0."""
    white = torch.randn(count, channels, harmonics.size, dtype=torch.float64, generator=generator(seed, "learned"))
    return harmonics.synthesise(white * (harmonics.degree > 0))


def isotropic(wave, harmonics):
    """All harmonics of a wavenumber, with both signs: by the addition theorem their variance is the same everywhere."""
    basis = torch.eye(harmonics.size, dtype=torch.float64)[harmonics.degree == wave]
    return harmonics.synthesise(torch.cat([basis, -basis]))[:, None]


def test_a_known_map_of_standard_deviation_is_recovered():
    count = 1000
    longitude = torch.as_tensor(np.radians(GRID.longitude))
    truth = 0.6 + SINE**2 + 0.3 * (1 - SINE**2).sqrt() * longitude.cos()
    fields = truth * homogeneous(count, 2)
    truth = truth / GRID.mean(truth**2).sqrt()
    # the relative error of a standard deviation at a point, from independent Gaussian samples; means have less
    noise = (2 * count) ** -0.5
    for band, (south, north) in zip(relative_deviation(fields, GRID), BANDS.values(), strict=True):
        inside = torch.as_tensor((south <= GRID.latitude) & (north >= GRID.latitude))
        weights = torch.as_tensor(GRID.area_weights)[inside]
        expected = ((truth[inside] ** 2).mean(-1) @ weights / weights.sum()).sqrt()
        torch.testing.assert_close(band, expected.expand(2), rtol=4 * noise, atol=0)
    found = deviation_map(fields, GRID)
    # correlation = sqrt(signal / (signal + noise)) where they are independent
    signal = GRID.mean((truth - GRID.mean(truth)) ** 2)
    reliability = (signal / (signal + noise**2 * GRID.mean(truth**2))).item()
    assert (pattern_correlation(found, truth.expand(2, -1, -1), GRID) > reliability - noise).all()
    assert (map_reliability(fields, GRID) > reliability - 4 * noise).all()


def test_a_homogeneous_ensemble_has_no_pattern_but_sampling():
    """Correlations with a fixed pattern, and between halves, have mean 0 and the variance that theory gives.

    The sampling error of the variance of a Gaussian field with the correlation function c has the correlation c^2. A
    coefficient of it at wavenumber l has the variance s_l, the Legendre coefficients of c^2.
    """
    ensembles = 60
    fields = homogeneous(100, ensembles)
    x, weight = np.polynomial.legendre.leggauss(32)
    legendre = [np.polynomial.legendre.Legendre.basis(wave)(x) for wave in range(2 * WAVES + 1)]
    correlation = sum((2 * wave + 1) * legendre[wave] for wave in range(1, WAVES + 1)) / ((WAVES + 1) ** 2 - 1)
    spectrum = np.array([weight @ (correlation**2 * each) for each in legendre])[1:]
    waves = 2 * np.arange(1, 2 * WAVES + 1) + 1
    share = spectrum / (waves @ spectrum)  # of the variance of a map, by coefficient
    pattern = (3 * SINE**2 - 1).expand(ensembles, -1, -1)  # wavenumber 2
    found = pattern_correlation(deviation_map(fields, GRID), pattern, GRID)
    assert abs(found.mean()) < 4 * (share[1] / ensembles) ** 0.5
    # the variance of a squared normal number is twice its mean squared
    assert (found**2).mean().item() == pytest.approx(share[1], rel=4 * (2 / ensembles) ** 0.5)
    reliability = map_reliability(fields, GRID)
    between = reliability / (2 - reliability)
    assert abs(between.mean()) < 4 * (waves @ share**2 / ensembles) ** 0.5


def test_halves_are_of_whole_blocks_in_time():
    """A map that lasts for a tenth of the period, and then changes its sign, is in one half alone."""
    pattern = torch.stack([1 + 0.5 * SINE, 1 - 0.5 * SINE])
    turns = torch.arange(100) // 10 % 2
    fields = pattern[turns][:, None] * homogeneous(100, 1)
    assert map_reliability(fields, GRID).item() < -1


def test_anisotropic_lengths_are_those_of_the_closed_form():
    """Sectoral waves cos^m(latitude) cos(m longitude + phase): Lx = a sqrt(2 / (m (2 m + 1))), Ly = a sqrt(2 / m).

    With x the sine of latitude, var = (1 - x^2)^m, var(d/dx) = m^2 (1 - x^2)^(m - 1) / a^2 and
    var(d/dy) = m^2 x^2 (1 - x^2)^(m - 1) / a^2, whose integrals over x follow from each other by parts.
    """
    order = 4
    harmonics = SphericalHarmonics(GRID, 10, torch.float64)
    chosen = (harmonics.degree == order) & (harmonics.order == order)
    draws = torch.randn(7, 1, harmonics.size, dtype=torch.float64, generator=generator(2))
    zonal, meridional = correlation_lengths(harmonics.synthesise(draws * chosen), harmonics)[:, 0, 0].tolist()
    assert zonal == pytest.approx(1e-3 * EARTH_RADIUS * (2 / (order * (2 * order + 1))) ** 0.5, rel=1e-9)
    assert meridional == pytest.approx(1e-3 * EARTH_RADIUS * (2 / order) ** 0.5, rel=1e-9)


@pytest.mark.parametrize("wave", [1, 4, 9])
def test_isotropic_fields_have_daley_s_length_in_all_directions_and_regions(wave):
    harmonics = SphericalHarmonics(GRID, 10, torch.float64)
    found = correlation_lengths(isotropic(wave, harmonics), harmonics)
    expected = torch.full((2, len(REGIONS), 1), 1e-3 * EARTH_RADIUS * (2 / (wave * (wave + 1))) ** 0.5)
    torch.testing.assert_close(found, expected.double(), rtol=1e-5, atol=0)


def balanced_states(count, seed=1):
    """Errors with a wind at 500 hPa, divergence included, and z500 in linear balance with it."""
    harmonics = SphericalHarmonics(GRID, 15, torch.float64)
    draws = torch.randn(2, count, harmonics.size, dtype=torch.float64, generator=generator(seed, "balance"))
    psi, chi = 1e6 * draws * ((harmonics.degree > 0) & (harmonics.degree < 15))  # balance needs the next wavenumber
    states = torch.zeros(count, 69, *GRID.shape, dtype=torch.float64)
    u, v = VectorHarmonics(harmonics).synthesise(psi, chi)
    states[:, channel_index("u500")] = u
    states[:, channel_index("v500")] = v
    states[:, channel_index("z500")] = harmonics.synthesise(LinearBalance(harmonics)(psi))
    return states, harmonics


def test_balanced_fields_give_1_and_others_0():
    count = 100
    states, harmonics = balanced_states(count)
    z500 = channel_index("z500")
    ones = torch.ones(len(BANDS), dtype=torch.float64)
    torch.testing.assert_close(balance(states, harmonics), ones, rtol=0, atol=1e-9)
    states[:, z500] += 100.0  # a bias is no error of balance
    torch.testing.assert_close(balance(states, harmonics), ones, rtol=0, atol=1e-9)
    states[:, z500] *= -1
    torch.testing.assert_close(balance(states, harmonics), -ones, rtol=0, atol=1e-9)
    states[:, z500] = homogeneous(count, 1, seed=2)[:, 0]
    assert (balance(states, harmonics).abs() < 4 * count**-0.5).all()


def test_gaussian_samples_have_neither_skewness_nor_kurtosis():
    count = 50
    points = GRID.nlat * GRID.nlon
    fields = torch.randn(count, 3, *GRID.shape, dtype=torch.float64, generator=generator(3))
    # variances of G1 and G2 of a Gaussian sample (Joanes and Gill 1998), the points independent
    skewness = 6 * count * (count - 1) / ((count - 2) * (count + 1) * (count + 3))
    kurtosis = 24 * count * (count - 1) ** 2 / ((count - 3) * (count - 2) * (count + 3) * (count + 5))
    for found, variance in zip(pointwise_moments(fields), (skewness, kurtosis), strict=True):
        assert (found.mean((-2, -1)).abs() < 4 * (variance / points) ** 0.5).all()


def test_skewness_and_heavy_tails_are_found_where_they_are():
    """Of exponential numbers they are 2 and 6, of double exponential ones 0 and 3; scale and mean do not matter."""
    exponential = torch.empty(2, 4000, 1, *GRID.shape, dtype=torch.float64).exponential_(generator=generator(4))
    fields = torch.cat([5 + 3 * exponential[0], exponential[0] - exponential[1]], dim=1)
    skewness, kurtosis = (moment.mean((-2, -1)).tolist() for moment in pointwise_moments(fields))
    # of so many samples the estimates lack a few percent, the more the heavier the tails
    assert skewness == pytest.approx([2.0, 0.0], abs=0.1)
    assert kurtosis == pytest.approx([6.0, 3.0], rel=0.05)
    scaled = torch.randn(4000, 1, *GRID.shape, dtype=torch.float64, generator=generator(5))
    scaled[::4] *= 3.0  # days of large errors: 3 (3/4 + 81/4) / (3/4 + 9/4)^2 - 3 = 4
    assert pointwise_moments(scaled)[1].mean().item() == pytest.approx(4.0, rel=0.05)


def states_of(count, seed, pattern=1.0):
    """Errors of all channels."""
    return pattern * homogeneous(count, 69, seed)


def test_the_table_has_samples_beside_errors():
    samples = describe(states_of(20, 1), GRID)
    errors = describe(states_of(30, 2, 1 + SINE**2), GRID)
    table = table_of([Comparison("model", "nmc", samples, errors), Comparison("model", "cycles", samples, samples)])
    assert list(table.columns) == COLUMNS
    keyed = table.set_index(["against", "quantity", "channel", "region"])
    count = keyed.xs("count", level="quantity").loc["nmc"]
    assert count[["value", "of_errors"]].to_numpy().tolist() == [[20.0, 30.0]]
    tropics = keyed.loc["nmc", "relative_deviation", "z500", "10S-10N"]
    assert tropics.value > 0.8 > tropics.of_errors
    assert keyed.value["cycles", "map_correlation", "msl", "global"] == pytest.approx(1.0)
    ratio = keyed.value["nmc", "map_correlation", "t850", "global"]
    ratio /= keyed.value["nmc", "corrected_map_correlation", "t850", "global"]
    reliability = keyed.of_errors["nmc", "map_reliability", "t850", "global"]
    assert ratio**2 == pytest.approx(reliability, rel=1e-9)
    headers, rows = shown(table)
    assert headers[3:] == list(LOOKED_AT)
    assert [row[:3] for row in rows] == [["model", "nmc", "30"], ["model", "cycles", "20"]]


def test_two_errors_give_what_two_errors_can():
    found = describe(states_of(2, 1), GRID).values
    missing = {quantity for (quantity, *_), value in found.items() if np.isnan(value)}
    assert missing == {"map_reliability", "skewness", "excess_kurtosis"}


def test_errors_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected errors of the shape \(samples, 69, 16, 32\), got \(3, 5, 16, 32\)"):
        describe(torch.zeros(3, 5, *GRID.shape), GRID)
