"""An ensemble of specialists: nets for subsets of easily confused classes, who must agree."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import pieces
from saddlepoint.models.defences.body import backward_of, body
from saddlepoint.models.defences.calibrate import threshold
from saddlepoint.models.defences.fitting import Fitting

__all__ = ["Specialists", "confused", "specialists"]

_LEAST = 1e-12


def confused(counts: Tensor, share: float = 0.8) -> Tensor:
    """(2K + 1, K) bool: which classes each member of the ensemble knows.

    counts: (K, K), how often inputs of the row's class were taken for the column's under attack.
    For each class its set holds the class and the fewest others that make up more than ``share`` of
    its confusions; K further members know the rest, and the last knows all.

    >>> confused(torch.tensor([[0, 9, 1], [5, 0, 5], [0, 9, 0]]))[:3].int().tolist()
    [[1, 1, 0], [1, 1, 1], [0, 1, 1]]
    """
    k = len(counts)
    if counts.shape != (k, k) or not 0 < share < 1:
        raise Invalid("counts", f"<shape {tuple(counts.shape)}>", "(K, K), with a share in (0, 1)")
    own = torch.eye(k, dtype=torch.bool)
    wrong = counts.double().masked_fill(own, 0)
    sizes, order = wrong.sort(dim=1, descending=True, stable=True)
    before = sizes.cumsum(1) - sizes
    needed = (before <= share * wrong.sum(1, keepdim=True)) & (sizes > 0)
    near = torch.zeros_like(own).scatter(1, order, needed) | own
    # What knows a single class, or none, has nothing to say: it knows all instead.
    rest = ~near | ((~near).sum(1, keepdim=True) < 2)
    near = near | (near.sum(1, keepdim=True) < 2)
    return torch.cat([near, rest, torch.ones(1, k, dtype=torch.bool)])


class Specialists(nn.Module):
    """2K + 1 nets, each of which knows some classes; low confidence of those that vote rejects.

    p_m is the softmax of member m over the classes that it knows. Where all members that know a
    class vote for it, p is their mean; elsewhere that of all. Scores out are log p, (B, K), and
    log(threshold), which is the largest exactly where max p < threshold.

    smooth: the same forward pass, bit for bit, with the gradient of the mean of log p_m over the
    members that know a class: all are pulled along, also those whose own share of p has vanished.

    Source: Abbasi and Gagné, 1702.06856; fallen to He et al., 1706.04701.
    """

    rejects = True
    knows: Tensor
    threshold: Tensor

    def __init__(self, nets: Sequence[nn.Module], classes: int, smooth: bool = False) -> None:
        super().__init__()
        if len(nets) != 2 * classes + 1:
            raise Invalid("nets", f"<{len(nets)} nets>", f"{2 * classes + 1} for {classes} classes")
        self.nets, self.smooth = nn.ModuleList(nets), smooth
        self.register_buffer("knows", torch.ones(len(nets), classes))
        self.register_buffer("threshold", torch.tensor(0.5))

    def _members(self, x: Tensor) -> Tensor:
        """(M, B, K) log p of each member, minus infinity for classes that it does not know."""
        z = torch.stack([net(x) for net in self.nets])
        return z.masked_fill(self.knows[:, None] == 0, -torch.inf).log_softmax(2)

    def _mean(self, log_p: Tensor) -> Tensor:
        """(B, K) mean p of the members that count."""
        p, knows = log_p.exp(), self.knows[:, None] > 0
        votes = functional.one_hot(log_p.argmax(2), log_p.shape[2]).bool()
        agreed = (votes | ~knows).all(0)  # (B, K): whoever knows the class votes for it
        winner = agreed.int().argmax(1)
        heard = self.knows[:, winner] * agreed.any(1) + ~agreed.any(1)  # (M, B)
        return (p * heard[..., None]).sum(0) / heard.sum(0)[:, None]

    def confidence(self, x: Tensor) -> Tensor:
        """(B,) the largest mean probability of a class."""
        return self._mean(self._members(x)).amax(1)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (B, K + 1), the last one that of rejection."""
        log_p = self._members(x)
        out = self._mean(log_p).clamp_min(_LEAST).log()
        if self.smooth:
            knows = self.knows[:, None]
            told = log_p.masked_fill(knows == 0, 0.0).sum(0) / knows.sum(0)
            out = backward_of(out, told)
        limit = self.threshold.log().to(out.dtype).expand(len(out), 1)
        return torch.cat([out, limit], 1)

    def fit(self, x: Tensor, y: Tensor, knows: Tensor, fitting: Fitting) -> "Specialists":
        """Train each member on the samples of its classes. x: (N, *F); knows: (2K + 1, K)."""
        self.knows.copy_(knows)
        for net, mask in zip(self.nets, self.knows, strict=True):
            rows = (mask[y] > 0).nonzero().squeeze(1)
            _fit_member(net, x[rows], y[rows], mask, fitting)
        return self

    def calibrate(self, x: Tensor, false_alarms: float = 0.05) -> "Specialists":
        """Set the threshold by clean inputs; return the same model."""
        with torch.no_grad():
            doubt = torch.cat([-self.confidence(part) for part in pieces(x, 500)])
        self.threshold.fill_(-threshold(doubt, false_alarms))
        return self


def _fit_member(net: nn.Module, x: Tensor, y: Tensor, mask: Tensor, fitting: Fitting) -> None:
    unknown = mask == 0

    def loss(rows: Tensor) -> Tensor:
        z = net(x[rows]).masked_fill(unknown, -torch.inf)
        return functional.cross_entropy(z, y[rows])

    fitting(net, len(x), loss)


def specialists(
    shape: Sequence[int] = (1, 28, 28),
    classes: int = 10,
    net: str = "conv-small",
    width: int = 4,
    smooth: bool = False,
) -> Specialists:
    """Return an untrained ensemble in which every member knows every class.

    >>> specialists((1, 8, 8), 3, width=2)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 4])
    """
    nets = [body(net, shape, classes, width) for _ in range(2 * classes + 1)]
    return Specialists(nets, classes, smooth)
