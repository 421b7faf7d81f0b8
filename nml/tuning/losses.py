"""Cross-entropy and the three NMTune regularisers, for stacks of heads.

Equations of Chen et al., "Understanding and Mitigating the Label Noise in Pre-training on Downstream Tasks"
(ICLR 2024), section 3.1. Every function takes tensors of shape [..., B, D] (B samples of one mini-batch, D dimensions;
leading dimensions are independent heads) and returns one value per head, of shape [...].

Spectra and covariances go through the smaller of the two Gram matrices, B x B or D x D. Gradients are finite for every
finite input of ordinary size, also where the mathematical function has none: there the smallest subgradient is used.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

SMALLEST = 1e-18
"""Lengths and scales below this count as zero: their squares and reciprocals leave the range of float32."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return L_CE, the mean cross-entropy of logits [..., B, C] and labels [..., B] over each head's mini-batch."""
    losses = functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none")
    return losses.view(labels.shape).mean(dim=-1)


def cross_entropy_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient of the cross-entropies of all heads in their logits [..., B, C], (softmax - one-hot) / B."""
    errors, places = logits.softmax(dim=-1), labels.unsqueeze(-1)
    return errors.scatter_add_(-1, places, errors.new_full(places.shape, -1.0)).div_(labels.shape[-1])


def generalised_cross_entropy(logits: Tensor, labels: Tensor, q: float | Tensor = 0.7) -> Tensor:
    """Return L_q = mean_b (1 - p_b^q) / q, with p_b the softmax's share of the label (Zhang and Sabuncu, 2018).

    Parameters
    ----------
    logits : Tensor [..., B, C]
    labels : Tensor [..., B]
    q : float, or Tensor [...] with one a head
        In (0, 1].

    Returns
    -------
    Tensor [...]
    """
    logs = _label_log_shares(logits, labels)
    q = q.unsqueeze(-1) if isinstance(q, Tensor) else q
    return (-torch.expm1(q * logs) / q).mean(dim=-1)


def reverse_cross_entropy(logits: Tensor, labels: Tensor, log_of_zero: float = -4.0) -> Tensor:
    """Return L_RCE = mean_b -log_of_zero (1 - p_b), with p_b the softmax's share of the label (Wang et al., 2019).

    Parameters
    ----------
    logits : Tensor [..., B, C]
    labels : Tensor [..., B]
    log_of_zero : float
        What stands for the logarithm of the shares of the other classes in the label's distribution.

    Returns
    -------
    Tensor [...]
    """
    return (log_of_zero * torch.expm1(_label_log_shares(logits, labels))).mean(dim=-1)


def _label_log_shares(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the logarithms of the softmax's shares of the labels [..., B]."""
    return logits.log_softmax(dim=-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)


def consistency(features: Tensor, transformed: Tensor) -> Tensor:
    """Return L_MSE, the squared distance between the directions of features and transformed features.

    L_MSE = 1/B sum_b || f_b / ||f_b||_2 - z_b / ||z_b||_2 ||_2^2. The norms are per sample, and the sum over the
    batch is averaged, so that the value lies in [0, 4] whatever B and D. A zero row has the direction zero.

    Parameters
    ----------
    features : Tensor [..., B, D]
        Frozen features F.
    transformed : Tensor [..., B, D]
        Transformed features Z, of the same width.

    Returns
    -------
    Tensor [...]
    """
    distances = directions(features) - directions(transformed)
    return distances.square().sum(dim=-1).mean(dim=-1)


def covariance(transformed: Tensor) -> Tensor:
    """Return L_COV = 1/D sum_{i != j} C(Z)_ij^2, with the unbiased covariance C(Z) of the mini-batch.

    For D > B the D x D matrix is never formed: ||C||_F equals the norm of the centred Gram matrix over B - 1, and the
    squared variances are subtracted. A batch of one sample has no covariance: its loss and gradient are zero.

    Parameters
    ----------
    transformed : Tensor [..., B, D], floating point
        Transformed features Z.

    Returns
    -------
    Tensor [...]
        At least 0, up to rounding.
    """
    return _Covariance.apply(transformed)


def dominant_singular_value(transformed: Tensor, k: int = 1) -> Tensor:
    """Return L_SVD = -sigma_1 / sum_j sigma_j, from the singular values of the un-centred mini-batch.

    For k > 1 it is minus the mean of the k largest normalised singular values (of all of them where fewer exist).
    An all-zero batch has loss and gradient zero; singular values that cannot be told from zero contribute none.

    Parameters
    ----------
    transformed : Tensor [..., B, D], floating point
        Transformed features Z.
    k : int

    Returns
    -------
    Tensor [...]
        In [-1, 0], of the type of Z.

    Raises
    ------
    ValueError
        If k is not positive.
    """
    if k < 1:
        raise ValueError(f"k counts singular values and must be at least 1, got {k}")
    return _DominantSingularValue.apply(transformed, k)


def nmtune(
    features: Tensor,
    transformed: Tensor,
    weight: float | Tensor = 0.01,
    k: int = 1,
    factors: tuple[float | Tensor, float | Tensor, float | Tensor] = (1.0, 1.0, 1.0),
) -> Tensor:
    """Return weight * (a L_MSE + b L_COV + c L_SVD), what NMTune adds to the cross-entropy; a = b = c = 1 in the paper.

    Parameters
    ----------
    features, transformed : Tensor [..., B, D], floating point
        Frozen features F and transformed features Z.
    weight : float, or Tensor [...] with one a head
        The weight of the sum of the three.
    k : int
        How many singular values count as dominant.
    factors : three of float, or Tensor [...]
        The factors a, b and c of L_MSE, L_COV and L_SVD; 0 leaves a term out, and the number 0 does not compute it.

    Returns
    -------
    Tensor [...]

    Raises
    ------
    ValueError
        If k is not positive.
    """
    terms = (
        lambda: consistency(features, transformed),
        lambda: covariance(transformed),
        lambda: dominant_singular_value(transformed, k),
    )
    wanted = [factor * term() for factor, term in zip(factors, terms, strict=True) if not is_left_out(weight * factor)]
    return weight * sum(wanted, start=transformed.new_zeros(transformed.shape[:-2]))


def is_left_out(factor: float | Tensor) -> bool:
    """Tell whether a factor is the number zero. Tensors are not looked at: on a GPU that would wait for it."""
    return not isinstance(factor, Tensor) and factor == 0


def directions(rows: Tensor) -> Tensor:
    """Return the rows [..., D] divided by their L2 norms; zero rows stay zero and receive no gradient."""
    norms = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return rows * norms.clamp(min=SMALLEST).reciprocal().masked_fill(norms <= SMALLEST, 0)


def _small_gram(rows: Tensor) -> Tensor:
    """Return Z Z^T or Z^T Z, whichever is smaller; both have the same norm and the same nonzero eigenvalues."""
    samples, dimensions = rows.shape[-2:]
    return rows @ rows.mT if samples <= dimensions else rows.mT @ rows


def _apply_small(operator: Tensor, rows: Tensor) -> Tensor:
    """Multiply Z with an operator of the size of its small Gram matrix, on the side where it fits."""
    samples, dimensions = rows.shape[-2:]
    return operator @ rows if samples <= dimensions else rows @ operator


class _Covariance(torch.autograd.Function):
    """L_COV and its gradient, 4 / (D (B-1)^2) (Z_c Z_c^T Z_c - Z_c diag(Z_c^T Z_c)), which is centred by itself."""

    @staticmethod
    def forward(ctx: Any, transformed: Tensor) -> Tensor:
        samples, dimensions = transformed.shape[-2:]
        centred = transformed - transformed.mean(dim=-2, keepdim=True)
        gram = _small_gram(centred)
        squares = centred.square().sum(dim=-2)
        ctx.scale = 1 / (dimensions * max(samples - 1, 1) ** 2)
        ctx.save_for_backward(centred, gram, squares)
        return ctx.scale * (gram.square().sum(dim=(-2, -1)) - squares.square().sum(dim=-1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        centred, gram, squares = ctx.saved_tensors
        gradient = _apply_small(gram, centred).addcmul_(centred, squares.unsqueeze(-2), value=-1)
        return gradient.mul_(4 * ctx.scale * upstream[..., None, None])


class _DominantSingularValue(torch.autograd.Function):
    """L_SVD by the eigendecomposition of the small Gram matrix, Z = U S V^T having Z Z^T = U S^2 U^T.

    A function of the singular values with derivatives g_j has the gradient U diag(g_j / sigma_j) U^T Z. Every direction
    counts alike in it, however small its sigma_j, so the squares are formed in float64: in float32 they would lose all
    below 1e-3 of the largest. Eigenvalues below ten rounding errors of the largest are noise and count as zero.
    """

    @staticmethod
    def forward(ctx: Any, transformed: Tensor, k: int) -> Tensor:
        # The heads of a stack are decomposed together: one that diverged may not end the others.
        exact = torch.nan_to_num(transformed.double(), posinf=0.0, neginf=0.0)
        squares, vectors = torch.linalg.eigh(_small_gram(exact))
        noise = squares[..., -1:] * (10 * torch.finfo(squares.dtype).eps)
        is_zero = squares <= noise.clamp(min=SMALLEST**2)
        sigma = squares.clamp(min=SMALLEST**2).sqrt().masked_fill(is_zero, 0)
        total = sigma.sum(dim=-1, keepdim=True).clamp(min=SMALLEST)
        loss = -sigma[..., -k:].mean(dim=-1, keepdim=True) / total
        derivatives = (-loss / total).expand(sigma.shape).clone()
        derivatives[..., -k:] -= 1 / (total * min(k, sigma.shape[-1]))
        weights = (derivatives / sigma).masked_fill(is_zero, 0)
        gradient = _apply_small((vectors * weights.unsqueeze(-2)) @ vectors.mT, exact)
        ctx.save_for_backward(gradient.to(transformed.dtype))
        return loss.squeeze(-1).to(transformed.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return upstream[..., None, None] * gradient, None
