"""What a count of draws says about a probability, exactly and one-sidedly."""

import torch
from torch import Tensor

__all__ = ["fair_coin", "lower_bound"]


def lower_bound(hits: Tensor, n: int, alpha: float) -> Tensor:
    """(B,) float64, the exact one-sided lower bound of a probability (Clopper, Pearson 1934).

    The p at which ``hits`` or more of n draws have probability alpha, a quantile of the beta
    distribution B(hits, n - hits + 1); 0 without a hit. Whatever the true p is, the bound exceeds
    it with probability alpha at most.

    hits: (B,) whole numbers in 0 … n.

    >>> [round(p, 4) for p in lower_bound(torch.tensor([0, 90, 100]), 100, 0.001).tolist()]
    [0.0, 0.7753, 0.9333]
    """
    from scipy.special import betaincinv

    k = hits.cpu().double().numpy()
    # The inverse has no value at k = 0, where the bound is 0 by definition.
    p = torch.from_numpy(betaincinv(k.clip(1), n - k.clip(1) + 1, alpha))
    return torch.where(hits.cpu() > 0, p, torch.zeros_like(p))


def fair_coin(first: Tensor, second: Tensor) -> Tensor:
    """(B,) float64, two-sided p value: were ``first`` and ``second`` the sides of a fair coin?

    P(max side >= max(first, second)) of first + second tosses, min(1, 2 P(X >= max)); 1 where there
    is no toss.

    >>> fair_coin(torch.tensor([5, 7, 0]), torch.tensor([0, 7, 0])).tolist()
    [0.0625, 1.0, 1.0]
    """
    from scipy.special import bdtrc

    total = (first + second).cpu().numpy()
    most = torch.maximum(first, second).cpu().numpy()
    # bdtrc(k, n, p) = P(X > k); at most = 0 all of it, which it does not compute.
    tail = torch.from_numpy(bdtrc((most - 1).clip(0).astype(float), total.clip(1), 0.5))
    p = (2 * tail).clamp(max=1.0)
    return torch.where(torch.from_numpy(total > 0), p, torch.ones_like(p))
