"""A model asked in batches of few sizes, since a CPU keeps kernels for every size it has met."""

import torch
from torch import Tensor, nn

__all__ = ["Rounded", "rounded"]


class Rounded(nn.Module):
    """The model behind batches that are filled up to one of eight sizes per power of two.

    oneDNN compiles and keeps kernels for each shape (about 0.4 MB a layer in bfloat16). A search
    that drops what it has broken meets new shapes after every epoch, and a long training would grow
    by gigabytes. Rows that were added are copies of the first, and their answers are cut off.

    >>> seen = []
    >>> net = Rounded(nn.Identity())
    >>> _ = net.model.register_forward_pre_hook(lambda m, args: seen.append(len(args[0])))
    >>> len(net(torch.zeros(77, 2))), seen
    (77, [80])
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Return the answers to x (B, *F), one a row."""
        more = rounded(len(x)) - len(x)
        if not more:
            out: Tensor = self.model(x)
            return out
        filled = torch.cat([x, x[:1].expand(more, *x.shape[1:])])
        answers: Tensor = self.model(filled)[: len(x)]
        return answers


def rounded(n: int) -> int:
    """Return the least size that is not below n.

    >>> [rounded(n) for n in (0, 5, 8, 9, 17, 33, 257)]
    [0, 5, 8, 9, 18, 36, 288]
    """
    unit = 1 << max(0, (n - 1).bit_length() - 4)
    return -(-n // unit) * unit
