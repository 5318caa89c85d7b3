"""What a background error has learned: the size of its samples by place, their length, their balance and their tails.

The gates of `background.sampling` look at the globe as a whole, which a homogeneous covariance satisfies. Here samples
of a background error are compared with errors (held-out forecast errors, or backgrounds of cycles minus the truth)
by place: standard deviation by latitude and as a map, correlation lengths by direction, linear balance by latitude,
skewness and kurtosis at grid points.

A map of standard deviations from n errors is noisy, by 1 / sqrt(2 n) at a grid point if these are independent, and
more if not. Maps are therefore smoothed, and their reliability is estimated from two halves of the errors: the
correlation of the halves' maps, stepped up to all of them (Spearman 1910, Brown 1910). Divided by the square root of
the errors' reliability, a correlation is what it would be with the map of infinitely many errors (Spearman 1904).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from ..background.training_set import TrainingSet
from ..fields.grid import Grid
from ..fields.harmonics import LinearBalance, SphericalHarmonics, VectorHarmonics, finest_truncation
from ..fields.state import CHANNELS, channel_index
from .score import REGIONS

#: channels that are looked at
LOOKED_AT = ("z500", "t850", "u500", "q700", "msl")
#: band of latitude -> southern and northern limit in degrees
BANDS = {
    "90S-60S": (-90.0, -60.0),
    "60S-30S": (-60.0, -30.0),
    "30S-10S": (-30.0, -10.0),
    "10S-10N": (-10.0, 10.0),
    "10N-30N": (10.0, 30.0),
    "30N-60N": (30.0, 60.0),
    "60N-90N": (60.0, 90.0),
}
#: total wavenumber up to which maps of standard deviation are kept: scales above some 2000 km
SMOOTHED_TO = 10
#: blocks of samples in order that go to two halves by turns; neighbours in time are alike, and stay together
BLOCKS = 10
#: name of the held-out forecast errors among what samples are compared with
NMC = "nmc"
#: name of the errors that models are fitted to, which are judged as if they were samples of one
CONTROL = "training errors"
#: of the table of `table_of`
COLUMNS = ["model", "against", "quantity", "channel", "region", "value", "of_errors"]
#: in words, for pages that show it
ABOUT = (
    "Samples of every static background error are compared with the errors that it stands for: held-out forecast "
    "errors (nmc), and background errors of the scored cycles that use it, if their backgrounds are kept. The lines "
    "are standard deviations by latitude, relative to the global one; the maps show the same at grid points, smoothed "
    f"to T{SMOOTHED_TO}. The table has the correlation of the maps of samples and errors and, in brackets, the "
    "reliability of the errors' map; a correlation exceeds the square root of it only by chance. In the row of "
    "training errors, the errors that the models were fitted to take the place of samples, which shows how much these "
    "tell about other errors."
)


def region_means(fields: torch.Tensor, grid: Grid, regions: Mapping[str, tuple[float, float]]) -> torch.Tensor:
    """Area-weighted means between latitudes, shape (regions, ...), of fields of shape (..., lat, lon).

    Parameters
    ----------
    regions : mapping
        Name -> southern and northern limit in degrees, as `BANDS`. A region without a latitude of the grid is not a
        number.
    """
    latitude = torch.as_tensor(grid.latitude.copy())
    area = torch.as_tensor(grid.area_weights).to(fields)
    zonal = fields.mean(-1)
    means = []
    for south, north in regions.values():
        weights = area * ((latitude >= south) & (latitude <= north)).to(fields)
        means.append((zonal * weights).sum(-1) / weights.sum())
    return torch.stack(means)


def relative_deviation(fields: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Standard deviation by band over the global one, (bands, channels), of (samples, channels, lat, lon)."""
    variance = fields.var(0)
    return (region_means(variance, grid, BANDS) / grid.mean(variance)).sqrt()


def deviation_map(fields: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Standard deviation over samples at grid points, over the global one, smoothed: (channels, lat, lon).

    Parameters
    ----------
    fields : (samples, channels, lat, lon)
        Of type float64.
    """
    variance = fields.var(0)
    relative = (variance / grid.mean(variance)[..., None, None]).sqrt()
    return SphericalHarmonics(grid, min(SMOOTHED_TO, finest_truncation(grid)), torch.float64).project(relative)


def pattern_correlation(first: torch.Tensor, second: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Area-weighted correlation about the global means, (...), of maps of shape (..., lat, lon)."""
    a = first - grid.mean(first)[..., None, None]
    b = second - grid.mean(second)[..., None, None]
    return grid.mean(a * b) / (grid.mean(a**2) * grid.mean(b**2)).sqrt()


def map_reliability(fields: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Share of the variance of `deviation_map` that is not sampling error, (channels,): 2 r / (1 + r).

    r is the correlation of the maps of two halves of (samples, channels, lat, lon), which are in order of time. Of
    homogeneous fields it is 0 but for sampling, and may be below. Fewer than four samples give no number.
    """
    count = len(fields)
    if count < 4:
        return fields.new_full(fields.shape[1:2], torch.nan)
    block = torch.arange(count) * min(BLOCKS, count) // count
    halves = [deviation_map(fields[block % 2 == turn], grid) for turn in (0, 1)]
    between = pattern_correlation(halves[0], halves[1], grid)
    return 2 * between / (1 + between)


def correlation_lengths(fields: torch.Tensor, harmonics: SphericalHarmonics) -> torch.Tensor:
    """Zonal and meridional correlation length in km, (2, regions, channels), by region of `score.REGIONS`.

    L = sqrt(var / var(d)) with d the derivative in that direction, both variances averaged over the region; of
    isotropic fields it is Daley's (1991) length in either direction, sqrt(2 var / var(grad)).

    Parameters
    ----------
    fields : (samples, channels, lat, lon)
        What `harmonics` do not hold of them is left out.
    """
    coefficients = harmonics.analyse(fields - fields.mean(0))
    # winds of a velocity potential are its gradient, in m-1
    gradient = VectorHarmonics(harmonics).synthesise(torch.zeros_like(coefficients), coefficients)
    variance = region_means(harmonics.synthesise(coefficients).var(0), harmonics.grid, REGIONS)
    steepness = [region_means(part.var(0), harmonics.grid, REGIONS) for part in gradient]
    return 1e-3 * (variance / torch.stack(steepness)).sqrt()


def balance(states: torch.Tensor, harmonics: SphericalHarmonics) -> torch.Tensor:
    """Correlation of z500 with the geopotential in linear balance with the wind at 500 hPa, by band, (bands,).

    Parameters
    ----------
    states : (samples, 69, lat, lon)
        Errors, in the units of the state; see `fields.harmonics.LinearBalance`.
    """
    z, u, v = states[:, [channel_index(name) for name in ("z500", "u500", "v500")]].to(harmonics.dtype).unbind(1)
    psi, _ = VectorHarmonics(harmonics).analyse(u, v)
    balanced = harmonics.synthesise(LinearBalance(harmonics)(psi))
    first = z - z.mean(0)
    second = balanced - balanced.mean(0)
    products = torch.stack([first * second, first**2, second**2]).mean(1)
    covariance, *variances = region_means(products, harmonics.grid, BANDS).unbind(-1)
    return covariance / (variances[0] * variances[1]).sqrt()


def pointwise_moments(fields: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Skewness and excess kurtosis over samples at grid points, each (channels, lat, lon).

    The estimates G1 and G2 of Joanes and Gill (1998), whose expectation is 0 for independent Gaussian samples; samples
    that resemble their neighbours in time give less. Of heavy tails they show a part: G2 of n samples is at most n.

    Parameters
    ----------
    fields : (samples, channels, lat, lon)
        Fewer than four samples give no numbers.
    """
    count = len(fields)
    if count < 4:
        nothing = fields.new_full(fields.shape[1:], torch.nan)
        return nothing, nothing
    centred = fields - fields.mean(0)
    second = (centred**2).mean(0)
    third = (centred**3).mean(0) / second**1.5
    fourth = (centred**4).mean(0) / second**2 - 3
    skewness = (count * (count - 1)) ** 0.5 / (count - 2) * third
    return skewness, (count - 1) / ((count - 2) * (count - 3)) * ((count + 1) * fourth + 6)


@dataclass(frozen=True)
class ErrorStatistics:
    """The statistics of samples or errors that `describe` finds.

    Attributes
    ----------
    values : dict
        (quantity, channel, region) -> value.
    deviation_map : (channels of `LOOKED_AT`, lat, lon)
        See the function of this name.
    grid : Grid
    """

    values: dict[tuple[str, str, str], float]
    deviation_map: torch.Tensor
    grid: Grid


def describe(states: torch.Tensor, grid: Grid) -> ErrorStatistics:
    """The statistics of samples or errors of shape (samples, 69, lat, lon), in the units of the state.

    Raises
    ------
    ValueError
        If the shape is a different one.
    """
    if states.shape[1:] != (len(CHANNELS), *grid.shape):
        raise ValueError(
            f"expected errors of the shape (samples, {len(CHANNELS)}, {grid.nlat}, {grid.nlon}), got "
            f"{tuple(states.shape)}"
        )
    fields = states[:, [channel_index(name) for name in LOOKED_AT]].double()
    harmonics = SphericalHarmonics(grid, finest_truncation(grid), torch.float64)
    zonal, meridional = correlation_lengths(fields, harmonics)
    skewness, kurtosis = pointwise_moments(fields)
    values = {("count", "", ""): float(len(states))}
    for quantity, regions, found in (
        ("standard_deviation", ["global"], grid.mean(fields.var(0)).sqrt()[None]),
        ("relative_deviation", BANDS, relative_deviation(fields, grid)),
        ("map_reliability", ["global"], map_reliability(fields, grid)[None]),
        ("zonal_length_km", REGIONS, zonal),
        ("meridional_length_km", REGIONS, meridional),
        ("anisotropy", REGIONS, zonal / meridional),
        ("skewness", REGIONS, region_means(skewness, grid, REGIONS)),
        ("excess_kurtosis", REGIONS, region_means(kurtosis, grid, REGIONS)),
    ):
        for region, row in zip(regions, found.tolist(), strict=True):
            values |= {(quantity, name, region): value for name, value in zip(LOOKED_AT, row, strict=True)}
    values |= {
        ("balance", "z500", band): value for band, value in zip(BANDS, balance(states, harmonics).tolist(), strict=True)
    }
    return ErrorStatistics(values, deviation_map(fields, grid), grid)


@dataclass(frozen=True)
class Comparison:
    """Samples of a background error compared with errors.

    Attributes
    ----------
    model : str
        Name of the background error.
    against : str
        Origin of the errors: `NMC`, or the experiment whose background errors they are.
    samples, errors : ErrorStatistics
    """

    model: str
    against: str
    samples: ErrorStatistics
    errors: ErrorStatistics

    def map_correlation(self) -> dict[str, float]:
        """By channel, the correlation of both smoothed maps of standard deviation."""
        found = pattern_correlation(self.samples.deviation_map, self.errors.deviation_map, self.samples.grid)
        return dict(zip(LOOKED_AT, found.tolist(), strict=True))

    def corrected_map_correlation(self) -> dict[str, float]:
        """The same, corrected for the sampling error of the errors' map; not a number where that has no pattern."""
        corrected = {}
        for name, value in self.map_correlation().items():
            reliability = self.errors.values["map_reliability", name, "global"]
            corrected[name] = value / reliability**0.5 if reliability > 0 else float("nan")
        return corrected

    def rows(self) -> list[list[str | float]]:
        """Rows of the table of `table_of`."""
        keys: list[str | float] = [self.model, self.against]
        rows = [[*keys, *key, value, self.errors.values[key]] for key, value in self.samples.values.items()]
        for quantity, found in (
            ("map_correlation", self.map_correlation()),
            ("corrected_map_correlation", self.corrected_map_correlation()),
        ):
            rows += [[*keys, quantity, name, "global", value, float("nan")] for name, value in found.items()]
        return rows


def table_of(comparisons: Iterable[Comparison]) -> pd.DataFrame:
    """A table with `COLUMNS`: every quantity of samples (value) and of errors (of_errors).

    Standard deviations are in the units of the state, lengths in km; correlations of maps are between both, and have no
    value of errors.
    """
    return pd.DataFrame([row for comparison in comparisons for row in comparison.rows()], columns=COLUMNS)


def shown(table: pd.DataFrame) -> tuple[Sequence[str], list[list[str]]]:
    """Headers and rows of the correlations of maps, of a table of `table_of`, for a page."""
    rows = []
    for (model, against), part in table.groupby(["model", "against"], sort=False):
        found = part.set_index(["quantity", "channel"])
        cells = [
            f"{found.value['map_correlation', name]:.2f} ({found.of_errors['map_reliability', name]:.2f})"
            for name in LOOKED_AT
        ]
        count = part[part.quantity == "count"].of_errors.iloc[0]
        rows.append([str(model), str(against), f"{count:.0f}", *cells])
    return ["background error", "errors of", "errors", *LOOKED_AT], rows


def control(samples: TrainingSet, held_out: list[int]) -> Comparison:
    """As many of the errors before the held-out ones, spread evenly, to be treated as samples of a model.

    What differs between these and the held-out errors, such as the season, cannot be known to a model fitted to them.
    """
    apart = max(1, held_out[0] // len(held_out))
    training = list(range(0, held_out[0], apart))[: len(held_out)]
    found = [describe(torch.from_numpy(samples.read(indices)), samples.grid) for indices in (training, held_out)]
    return Comparison(CONTROL, NMC, *found)
