"""Decision-based attacks of ART and Foolbox, cut off after a number of questions about one image.

What counts is the closest break among the points that a peer asked about: it need not return it.
"""

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

with warnings.catch_warnings():  # deprecated scipy names, their business
    warnings.simplefilter("ignore")
    import foolbox
    from art.attacks import evasion
    from art.estimators.classification import PyTorchClassifier

if not hasattr(np, "mat"):
    np.mat = np.asmatrix  # ART's GeoDA calls what NumPy 2 no longer has

__all__ = ["PEERS", "trace"]

Run = Callable[[nn.Module, Tensor, Tensor, int], Any]  # the last: how many questions there are


class _Enough(Exception):
    """The questions are used up."""


class _Counter(nn.Module):
    """Answers by one-hot rows, and notes how close the breaks come, question by question."""

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor, order: float, limit: int) -> None:
        super().__init__()
        self.model, self.x, self.y, self.order, self.limit = model, x, y, order, limit
        self.best: list[float] = []

    def forward(self, v: Tensor) -> Tensor:
        """One-hot answers; breaks outside the input range do not count."""
        with torch.no_grad():
            said = self.model(v.float()).argmax(1)
        size = torch.linalg.vector_norm((v - self.x).flatten(1).double(), self.order, dim=1)
        fair = (said != self.y) & (v >= -1e-6).flatten(1).all(1) & (v <= 1 + 1e-6).flatten(1).all(1)
        for d in torch.where(fair, size, torch.inf).tolist():
            if len(self.best) == self.limit:
                raise _Enough
            self.best.append(min(d, self.best[-1] if self.best else torch.inf))
        return nn.functional.one_hot(said, 10).to(v.dtype)


_MANY = 10**6


def _foolbox(attack: Any) -> Run:  # noqa: ANN401 - one of foolbox's
    def run(model: nn.Module, x: Tensor, y: Tensor, limit: int) -> None:
        attack(foolbox.PyTorchModel(model, bounds=(0, 1)), x, y, epsilons=None)

    return run


def _art(name: str, **options: Any) -> Run:  # noqa: ANN401
    def run(model: nn.Module, x: Tensor, y: Tensor, limit: int) -> None:
        estimator = PyTorchClassifier(
            model,
            loss=nn.CrossEntropyLoss(),
            input_shape=tuple(x.shape[1:]),
            nb_classes=10,
            clip_values=(0.0, 1.0),
            device_type="cpu",
        )
        kind, steps = getattr(evasion, name), max(limit, 500) if name == "GeoDA" else _MANY
        kind(estimator, verbose=False, max_iter=steps, **options).generate(x.numpy())

    return run


_HSJ = foolbox.attacks.HopSkipJumpAttack
PEERS: dict[str, dict[str, Run]] = {
    "Linf": {
        "foolbox HopSkipJump": _foolbox(_HSJ(steps=_MANY, constraint="linf")),
        "ART HopSkipJump": _art("HopSkipJump", norm="inf"),
        "ART GeoDA": _art("GeoDA", norm="inf"),
    },
    "L2": {
        "foolbox HopSkipJump": _foolbox(_HSJ(steps=_MANY)),
        "foolbox BoundaryAttack": _foolbox(foolbox.attacks.BoundaryAttack(steps=_MANY)),
        "ART HopSkipJump": _art("HopSkipJump", norm=2),
        "ART BoundaryAttack": _art("BoundaryAttack", targeted=False),
        "ART GeoDA": _art("GeoDA", norm=2),
    },
}


@contextlib.contextmanager
def _aside() -> Iterator[None]:
    """Work in a folder of its own: ART's GeoDA writes a file where it stands."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield


def trace(run: Run, model: nn.Module, x: Tensor, y: Tensor, order: float, limit: int) -> Tensor:
    """(B, limit) size of the closest break after each question."""
    rows = []
    for i in range(len(x)):
        one = slice(i, i + 1)
        counter = _Counter(model, x[one], y[one], order, limit).eval()
        with _aside(), contextlib.suppress(_Enough), torch.random.fork_rng():
            torch.manual_seed(i)
            run(counter, x[one], y[one], limit)
        best = counter.best or [torch.inf]
        rows.append(torch.tensor(best + best[-1:] * (limit - len(best))))
    return torch.stack(rows)
