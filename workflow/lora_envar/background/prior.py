"""The distribution of a VAE's latents: standard normal as trained, scaled, or with a low-rank adapter.

The last two are fitted to an ensemble. The scale is one number, z = s v: a static model of the day's amplitude, the
control of all finer structure. The adapter adds r standard normal numbers w to the n of the latents,

    z = v + L w,   covariance 1 + L L^T,

with L (n x r) the patterns of the day. It is what LoRA on the first linear map of the decoder gives, W (1 + B A), where
B A is symmetric and dense over all latents, not one matrix for all places. L = 0 is the pretrained model.

As v and w are numbers apart, their variances can be calibrated apart (`analysis.amplitudes`): where innovations do not
bear the ensemble out, its share goes. The analysis minimises over v and over w times the standard deviation along each
column of L: over w itself, the few directions in which a handful of members varies a thousand times more would leave
the others unconverged.
"""

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn

#: variance of the samples' means, of latents' 1, below which a direction is none of theirs
NEGLIGIBLE = 0.01


class StandardNormal(nn.Module):
    """Latents with the distribution of the training.

    Attributes
    ----------
    rank : int
        How many numbers a control vector has beyond the latents.
    """

    rank = 0

    def latents(self, control: torch.Tensor) -> torch.Tensor:
        """Latents, (n,), of a control vector, (n + rank,)."""
        return control

    def standard(self, control: torch.Tensor) -> torch.Tensor:
        """The standard normal numbers that a control vector stands for, (n + rank,)."""
        return control

    def divergence(self, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
        """KL(N(mean, diag variance) || N(0, 1)) per sample, (batch,), of (batch, *latent shape)."""
        return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).flatten(1).sum(1)


class ScaledNormal(nn.Module):
    """Latents with the covariance s^2.

    Parameters
    ----------
    like : Tensor
        Has the type and device of the latents.
    """

    rank = 0

    def __init__(self, like: torch.Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(like.new_ones(()))

    def latents(self, control: torch.Tensor) -> torch.Tensor:
        """The latents, (n,), which are the control vector itself."""
        return control

    def standard(self, control: torch.Tensor) -> torch.Tensor:
        """The standard normal numbers that a control vector stands for, (n,)."""
        return control / self.scale

    def divergence(self, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
        """KL(N(mean, diag variance) || N(0, s^2)) per sample, (batch,), of (batch, *latent shape)."""
        square = self.scale**2
        ratio = (mean**2 + log_variance.exp()) / square
        return 0.5 * (ratio - 1 - log_variance + square.log()).flatten(1).sum(1)

    def fit(self, mean: torch.Tensor, log_variance: torch.Tensor) -> None:
        """Set s so that the mean divergence over samples is smallest: s^2 is the mean of their squares."""
        with torch.no_grad():
            self.scale.copy_((mean.double() ** 2 + log_variance.double().exp()).mean().sqrt())


class LowRankNormal(nn.Module):
    """Latents with the covariance 1 + L L^T.

    Parameters
    ----------
    size : int
        Number of latents, n.
    rank : int
    like : Tensor
        Has the type and device of the latents.
    """

    def __init__(self, size: int, rank: int, like: torch.Tensor) -> None:
        super().__init__()
        self.rank = rank
        self.up = nn.Parameter(like.new_zeros(size, rank))

    def _norms(self) -> torch.Tensor:
        """Divisors of the control vector's additional numbers: the standard deviation along each column of L."""
        return (1 + self.up.square().sum(0)).sqrt()

    def latents(self, control: torch.Tensor) -> torch.Tensor:
        """Latents, (n,), of a control vector, (n + rank,)."""
        return control[: -self.rank] + self.up @ (control[-self.rank :] / self._norms())

    def standard(self, control: torch.Tensor) -> torch.Tensor:
        """The standard normal numbers that a control vector stands for, (n + rank,)."""
        return torch.cat([control[: -self.rank], control[-self.rank :] / self._norms()])

    def divergence(self, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
        """KL(N(mean, diag variance) || N(0, 1 + L L^T)) per sample, (batch,), of (batch, *latent shape).

        At a cost linear in the number of latents: (1 + L L^T)^-1 = 1 - L (1 + L^T L)^-1 L^T.
        """
        mean = mean.flatten(1)
        log_variance = log_variance.flatten(1)
        small = torch.eye(self.rank).to(self.up) + self.up.T @ self.up
        projected = mean @ self.up
        square = (mean**2).sum(1) - (projected * torch.linalg.solve(small, projected.T).T).sum(1)
        kept = 1 - (self.up * torch.linalg.solve(small, self.up.T).T).sum(1)
        trace = (log_variance.exp() * kept).sum(1)
        determinant = torch.linalg.slogdet(small).logabsdet - log_variance.sum(1)
        return 0.5 * (square + trace + determinant - mean.shape[1])

    def fit(self, mean: torch.Tensor, log_variance: torch.Tensor) -> None:
        """Set L so that the mean divergence over samples is smallest.

        It has the columns sqrt(lambda_i - 1) u_i with the r largest eigenvalues and eigenvectors of the samples' second
        moment, (1 / K) sum_k (m_k m_k^T + diag v_k), as in probabilistic principal components (Tipping and Bishop
        1999). Where fewer directions than the rank have more variance than 1, the others stay zero, as do those along
        which the means m_k hardly vary: they are no patterns of the day, and ARPACK would look for them for minutes.
        """
        means = mean.flatten(1).double().cpu().numpy()
        variance = log_variance.exp().flatten(1).mean(0).double().cpu().numpy()
        count, size = means.shape

        def second_moment(vector: np.ndarray) -> np.ndarray:
            return means.T @ (means @ vector) / count + variance * vector

        operator = LinearOperator((size, size), matvec=second_moment, dtype=np.float64)
        start = np.random.default_rng(0).standard_normal(size)
        spanned = np.linalg.svd(means, compute_uv=False) ** 2 / count > NEGLIGIBLE
        found = min(self.rank, int(spanned.sum()))
        with torch.no_grad():
            self.up.zero_()
        if not found:
            return
        values, vectors = eigsh(operator, k=found, which="LA", v0=start)
        with torch.no_grad():
            self.up[:, self.rank - found :] = torch.from_numpy(vectors * np.sqrt((values - 1).clip(0.0)))
