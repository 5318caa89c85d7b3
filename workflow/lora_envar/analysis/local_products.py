"""What a local ensemble filter knows about its observations at every point of a grid.

    Y' R^-1 [Y, d],    Y_ik = H_i(x_k) - mean over k,    d_i = y_i - mean over k of H_i(x_k)

with the precisions 1 / r_i^2 of R^-1 tapered with the distance of the point from the datum (R-localisation, Hunt,
Kostelich and Szunyogh 2007, sect. 2.3): by a factor of the distance on the sphere and one of the difference in ln p.
Data of the surface count as those at the lowest level.

Data at one place share the horizontal factor, so that their products are summed first, once a level, and over places
then, as a product of matrices.
"""

import math

import numpy as np
import torch

from ..fields.constants import EARTH_RADIUS
from ..fields.grid import Grid
from ..fields.state import LEVELS
from ..observations.catalogue import at_surface
from ..observations.table import Observations

#: places whose data are multiplied at once
PLACES = 256


def gaspari_cohn(distance: torch.Tensor, length: float) -> torch.Tensor:
    """The taper of Gaspari and Cohn (1999, eq. 4.10) that is like exp(-d^2 / 2 L^2) and zero from 3.65 L on.

    Its own length is c = (10 / 3)^(1/2) L, by which the curvatures at no distance agree, and its support 2 c.

    Parameters
    ----------
    distance : tensor
        Zero or more.
    length : float
        L, in the units of the distance.
    """
    r = distance / (math.sqrt(10.0 / 3.0) * length)
    near = 1.0 - 5.0 / 3.0 * r**2 + 5.0 / 8.0 * r**3 + r**4 / 2.0 - r**5 / 4.0
    # the last terms of 4 - 5 r + ... cancel at r = 2, up to rounding
    far = 4.0 - 5.0 * r + 5.0 / 3.0 * r**2 + 5.0 / 8.0 * r**3 - r**4 / 2.0 + r**5 / 12.0 - 2.0 / (3.0 * r.clamp(min=1))
    return torch.where(r <= 1.0, near, torch.where(r < 2.0, far.clamp(min=0.0), 0.0))


class LocalProducts:
    """Sums of products of tapered observations, see the module.

    Attributes
    ----------
    levels : int
        Number of sums in the vertical: one per level, or a single one without vertical localisation.

    Parameters
    ----------
    table : Observations
        Those that are used.
    equivalents : (K, rows)
        H of each member.
    values, errors : (rows,)
        Of the observations, and their standard deviations.
    grid : Grid
        Of the points.
    horizontal : float or None
        Length of the taper in km; None does not localise.
    vertical : float or None
        Length of the taper in ln p; None does not localise.
    """

    def __init__(
        self,
        table: Observations,
        equivalents: torch.Tensor,
        values: torch.Tensor,
        errors: torch.Tensor,
        grid: Grid,
        horizontal: float | None,
        vertical: float | None,
    ) -> None:
        mean = equivalents.mean(0)
        # R^(-1/2) [Y, d], (rows, K + 1)
        self._scaled = torch.cat([equivalents - mean, (values - mean)[None]]).T / errors[:, None]
        self.levels = 1 if vertical is None else len(LEVELS)
        self._horizontal = horizontal
        self._vertical = vertical
        pressure = np.where(at_surface(table.variable), LEVELS[-1], table.pressure).astype(np.float64)
        self._log_pressure = torch.from_numpy(np.log(pressure)).to(equivalents)
        coordinates = np.stack([table.latitude, table.longitude], axis=1)
        places, owner = np.unique(coordinates, axis=0, return_inverse=True)
        self._places = _on_sphere(places[:, 0], places[:, 1]).to(equivalents.device)
        self._rows, self._order = _by_place(owner.ravel(), len(places), equivalents.device)
        latitude, longitude = np.meshgrid(grid.latitude, grid.longitude, indexing="ij")
        # in float64, as the cosine of a small distance is near 1
        self._points = _on_sphere(latitude.ravel(), longitude.ravel()).to(equivalents.device)

    def of_places(self, level: int) -> torch.Tensor:
        """Sums over the data of each place, tapered by their difference in ln p from a level, (places, K, K + 1)."""
        weight = torch.ones_like(self._log_pressure)
        if self._vertical is not None:
            weight = gaspari_cohn((self._log_pressure - math.log(LEVELS[level])).abs(), self._vertical)
        # row -1, which fills up places with fewer data than others, counts as nothing
        weight = torch.cat([weight, weight.new_zeros(1)])[:, None]
        scaled = torch.cat([self._scaled, torch.zeros_like(self._scaled[:1])])
        sums = [((weight * scaled)[rows][..., :-1]).mT @ scaled[rows] for rows in self._rows]
        return torch.cat(sums)[self._order]

    def of_points(self, of_places: torch.Tensor, points: slice) -> torch.Tensor:
        """Sums over places, tapered by their distance from some points of the grid, (points, K, K + 1).

        Parameters
        ----------
        of_places : (places, K, K + 1)
        points : slice
            Of the grid's points, row by row.
        """
        if self._horizontal is None:
            return of_places.sum(0).expand(len(self._points[points]), *of_places.shape[1:])
        cosine = (self._points[points] @ self._places.T).clamp(-1.0, 1.0)
        taper = gaspari_cohn(1e-3 * EARTH_RADIUS * cosine.arccos(), self._horizontal).to(of_places)
        reached = (taper > 0.0).any(0).nonzero().ravel()
        sums = taper.index_select(1, reached) @ of_places.index_select(0, reached).flatten(1)
        return sums.unflatten(1, of_places.shape[1:])


def _on_sphere(latitude: np.ndarray, longitude: np.ndarray) -> torch.Tensor:
    """Unit vectors, (points, 3), float64, of latitudes and longitudes in degrees."""
    phi = np.radians(latitude.astype(np.float64))
    lam = np.radians(longitude.astype(np.float64))
    return torch.from_numpy(np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1))


def _by_place(owner: np.ndarray, places: int, device: torch.device) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Rows of each place, in batches of places with similar numbers of data, and the position of each place in these.

    Returns
    -------
    rows : list of (batch, most) of int
        Filled up with -1.
    order : (places,) of int
    """
    count = np.bincount(owner, minlength=places)
    rows = np.argsort(owner, kind="stable")
    first = np.cumsum(count) - count
    by_count = np.argsort(count, kind="stable")
    batches = []
    for start in range(0, places, PLACES):
        batch = by_count[start : start + PLACES]
        column = np.arange(count[batch].max())
        there = column < count[batch, None]
        filled = np.where(there, rows[np.minimum(first[batch, None] + column, len(rows) - 1)], -1)
        batches.append(torch.as_tensor(filled, device=device))
    return batches, torch.as_tensor(np.argsort(by_count), device=device)
