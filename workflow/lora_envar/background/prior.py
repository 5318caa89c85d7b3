"""The distribution of a VAE's latents: standard normal as trained, scaled, or with a low-rank adapter.

The last two are fitted to an ensemble. The scale is one number, z = s v: a static model of the day's amplitude, the
control of all finer structure. The adapter makes latents z = (1 + B A) v of standard normal numbers v, with A (r x n)
and B (n x r). It is LoRA on the first linear map of the decoder, W (1 + B A) = W + (W B) A, dense over all latents and
not one matrix for all places, so that it holds the patterns of the day where they are. B = 0 is the pretrained model.

The analysis minimises over z, with |v|^2 = |(1 + B A)^-1 z|^2: over v, the few directions in which an ensemble of a
handful of members varies a thousand times more than the rest would leave the others unconverged.
"""

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn


class StandardNormal(nn.Module):
    """Latents as trained."""

    def forward(self, normal: torch.Tensor) -> torch.Tensor:
        """Latents of standard normal numbers, both (batch, *latent shape)."""
        return normal

    def inverse(self, latent: torch.Tensor) -> torch.Tensor:
        """Standard normal numbers of latents."""
        return latent

    def divergence(self, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
        """KL(N(mean, diag variance) || N(0, 1)) per sample, (batch,), of (batch, *latent shape)."""
        return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).flatten(1).sum(1)


class ScaledNormal(nn.Module):
    """Latents of covariance s^2.

    Parameters
    ----------
    like : Tensor
        Of the latents' type and device.
    """

    def __init__(self, like: torch.Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(like.new_ones(()))

    def forward(self, normal: torch.Tensor) -> torch.Tensor:
        """Latents of standard normal numbers, both (batch, *latent shape)."""
        return self.scale * normal

    def inverse(self, latent: torch.Tensor) -> torch.Tensor:
        """Standard normal numbers of latents."""
        return latent / self.scale

    def divergence(self, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
        """KL(N(mean, diag variance) || N(0, s^2)) per sample, (batch,), of (batch, *latent shape)."""
        square = self.scale**2
        ratio = (mean**2 + log_variance.exp()) / square
        return 0.5 * (ratio - 1 - log_variance + square.log()).flatten(1).sum(1)

    def fit(self, mean: torch.Tensor, log_variance: torch.Tensor) -> None:
        """Take the s of the smallest mean divergence over samples: s^2 is the mean of their squares."""
        with torch.no_grad():
            self.scale.copy_((mean.double() ** 2 + log_variance.double().exp()).mean().sqrt())


class LowRankNormal(nn.Module):
    """Latents of covariance (1 + B A) (1 + B A)^T.

    Parameters
    ----------
    size : int
        Number of latents, n.
    rank : int
    like : Tensor
        Of the latents' type and device.
    """

    def __init__(self, size: int, rank: int, like: torch.Tensor) -> None:
        super().__init__()
        self.down = nn.Parameter(like.new_zeros(rank, size))
        self.up = nn.Parameter(like.new_zeros(size, rank))

    def forward(self, normal: torch.Tensor) -> torch.Tensor:
        """Latents of standard normal numbers, both (batch, *latent shape)."""
        flat = normal.flatten(1)
        return normal + (flat @ self.down.T @ self.up.T).view_as(normal)

    def _inner(self) -> tuple[torch.Tensor, torch.Tensor]:
        """1 + A B, (r, r), and U of (1 + B A)^-1 = 1 - U A, (n, r): U = B (1 + A B)^-1."""
        small = torch.eye(len(self.down)).to(self.down) + self.down @ self.up
        return small, torch.linalg.solve(small, self.up, left=False)

    def inverse(self, latent: torch.Tensor) -> torch.Tensor:
        """Standard normal numbers of latents, both (batch, *latent shape)."""
        small = torch.eye(len(self.down)).to(self.down) + self.down @ self.up
        inner = torch.linalg.solve(small, self.down @ latent.flatten(1).T)
        return latent - (self.up @ inner).T.view_as(latent)

    def divergence(self, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
        """KL(N(mean, diag variance) || N(0, (1 + B A) (1 + B A)^T)) per sample, (batch,).

        At a cost linear in the number of latents.
        """
        mean = mean.flatten(1)
        variance = log_variance.exp().flatten(1)
        small, solved = self._inner()
        pulled = self.inverse(mean)
        diagonal = (solved.T * self.down).sum(0)
        squares = ((solved.T @ solved @ self.down) * self.down).sum(0)
        trace = (variance * (1 - 2 * diagonal + squares)).sum(1)
        determinant = 2 * torch.linalg.slogdet(small).logabsdet - log_variance.flatten(1).sum(1)
        return 0.5 * ((pulled**2).sum(1) + trace + determinant - mean.shape[1])

    def fit(self, mean: torch.Tensor, log_variance: torch.Tensor) -> None:
        """Take the A and B of the smallest mean divergence over samples, of all covariances 1 + L L^T, L of r columns.

        It is 1 + sum_i (lambda_i - 1) u_i u_i^T with the r largest eigenvalues and eigenvectors of the samples' second
        moment, (1 / K) sum_k (m_k m_k^T + diag v_k), as in probabilistic principal components (Tipping and Bishop
        1999): A has the rows u_i and B the columns (sqrt(lambda_i) - 1) u_i. Where fewer directions than the rank have
        more variance than 1, the others stay zero.
        """
        means = mean.flatten(1).double().cpu().numpy()
        variance = log_variance.exp().flatten(1).mean(0).double().cpu().numpy()
        count, size = means.shape

        def second_moment(vector: np.ndarray) -> np.ndarray:
            return means.T @ (means @ vector) / count + variance * vector

        operator = LinearOperator((size, size), matvec=second_moment, dtype=np.float64)
        start = np.random.default_rng(0).standard_normal(size)
        values, vectors = eigsh(operator, k=len(self.down), which="LA", v0=start)
        with torch.no_grad():
            self.down.copy_(torch.from_numpy(vectors.T.copy()))
            self.up.copy_(torch.from_numpy(vectors * (np.sqrt(values.clip(1.0)) - 1)))
