"""One row of a training curve."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

__all__ = ["Epoch", "as_csv"]


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to, on samples that training did not see.

    epoch: from 1. loss: mean training objective, in nats. clean, robust, own: held-out accuracy in
    [0, 1]: unperturbed, under the plan's ``check``, and under the training attack (None where there
    is none). lr: of the epoch's last step. seconds: wall time, measurements included. certified:
    the share, of those under the check, that intervals prove to be robust (None unless the
    objective minimises a bound).

    >>> Epoch(1, 2.3, 0.5, 0.25, 0.3, 0.001, 1.0)
    Epoch(epoch=1, loss=2.3, clean=0.5, robust=0.25, own=0.3, lr=0.001, seconds=1.0, certified=None)
    """

    epoch: int
    loss: float
    clean: float
    robust: float
    own: float | None
    lr: float
    seconds: float
    certified: float | None = None

    def __str__(self) -> str:
        proved = "" if self.certified is None else f", {self.certified:.2%} certified"
        return (
            f"epoch {self.epoch}: loss {self.loss:.4f}, held-out accuracy {self.clean:.2%} clean, "
            f"{self.robust:.2%} robust{proved} ({self.seconds:.1f} s)"
        )


def as_csv(history: Sequence[Epoch]) -> str:
    """Return the curve as CSV with a header line.

    >>> as_csv([Epoch(1, 2.3, 0.5, 0.25, 0.3, 0.001, 1.0)]).splitlines()
    ['epoch,loss,clean,robust,own,lr,seconds,certified', '1,2.3,0.5,0.25,0.3,0.001,1.0,']
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(e) for e in history)
    return text.getvalue()
