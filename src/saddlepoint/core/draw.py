"""Randomness that depends on (seed, sample id, tags) and on nothing else.

A counter-based generator: every number is a hash of its sample's key and its own position, so a
sample gets the same numbers alone, in a batch, permuted, chunked, or on another process. The hash
is the finaliser of SplitMix64 (Steele, Lea, Flood 2014), which passes the usual statistical
batteries; torch has no unsigned 64-bit arithmetic, so shifts are masked by hand.
"""

import math
import zlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid

__all__ = ["Draw"]

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_A = 0xBF58476D1CE4E5B9
_MIX_B = 0x94D049BB133111EB
_WORD = 1 << 64


def _signed(word: int) -> int:
    word %= _WORD
    return word - _WORD if word >= _WORD >> 1 else word


def _xorshift_(z: Tensor, bits: int) -> Tensor:
    shifted = (z >> bits).bitwise_and_((1 << (64 - bits)) - 1)
    return z.bitwise_xor_(shifted)


def _mix_(z: Tensor) -> Tensor:
    """Scramble int64 words in place; a bijection with full avalanche."""
    z = _xorshift_(z, 30).mul_(_signed(_MIX_A))
    z = _xorshift_(z, 27).mul_(_signed(_MIX_B))
    return _xorshift_(z, 31)


def _mixed(word: int) -> int:
    """``_mix_`` of one word, without a tensor, whose way to a GPU would be waited for."""
    word %= _WORD
    word = (word ^ word >> 30) * _MIX_A % _WORD
    word = (word ^ word >> 27) * _MIX_B % _WORD
    return word ^ word >> 31


@dataclass(frozen=True, eq=False)
class Draw:
    """A stream of random numbers per sample.

    ids: (B,) int64, the identity of each sample in the data set. Calls with equal tags give equal
    numbers; derive a new stream with ``tag``. key: what the tags so far come to.

    >>> draw = Draw.of(seed=0, ids=torch.arange(3))
    >>> bool((draw.uniform(5)[1:] == draw[torch.tensor([1, 2])].uniform(5)).all())
    True
    >>> bool((draw.tag("step", 1).uniform(5) == draw.tag("step", 2).uniform(5)).any())
    False
    """

    seed: int
    ids: Tensor
    key: int = 0

    @classmethod
    def of(cls, seed: int, ids: Tensor) -> "Draw":
        """Open the stream of ``seed`` for the given sample ids."""
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 1 << 63:
            raise Invalid("seed", seed, "a whole number in [0, 2^63)")
        return cls(seed, ids.to(torch.int64))

    def tag(self, *tags: str | int) -> "Draw":
        """Derive an independent stream named by ``tags``."""
        key = self.key
        for t in tags:
            key = (key * _MIX_A + zlib.crc32(repr(t).encode()) + 1) % _WORD
        return replace(self, key=key)

    def each(self, number: Tensor) -> "Draw":
        """Derive an independent stream for every row, named by a whole number of its own, (B,).

        >>> draw = Draw.of(seed=0, ids=torch.arange(2)).each(torch.tensor([3, 4]))
        >>> alone = Draw.of(seed=0, ids=torch.tensor([1])).each(torch.tensor([4]))
        >>> bool((draw.uniform(5)[1:] == alone.uniform(5)).all())
        True
        """
        words = self.ids * _signed(_MIX_B) + number.to(torch.int64) * _signed(_MIX_A)
        return replace(self, ids=_mix_(words))

    def to(self, device: torch.device) -> "Draw":
        """Draw on a device: the numbers stay the same."""
        return replace(self, ids=self.ids.to(device))

    def __getitem__(self, keep: Tensor) -> "Draw":
        return replace(self, ids=self.ids[keep])

    def _words(self, shape: tuple[int, ...]) -> Tensor:
        device, count = self.ids.device, math.prod(shape)
        stream = _signed(_mixed(self.seed + self.key * _GOLDEN))
        sample = _mix_(self.ids * _signed(_GOLDEN) + stream)
        position = torch.arange(1, count + 1, device=device) * _signed(_GOLDEN)
        return _mix_(sample[:, None] + position).reshape(-1, *shape)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform float32 in [low, high), (B, *shape); 24 random bits each."""
        bits = (self._words(shape) >> 40).bitwise_and_((1 << 24) - 1)
        u = bits.to(torch.float32).mul_((high - low) / (1 << 24))
        return u.add_(low) if low else u

    def sign(self, *shape: int) -> Tensor:
        """-1 or +1 with equal chance, (B, *shape)."""
        return (self._words(shape) >> 63).to(torch.float32).mul_(2).add_(1)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal by the Box-Muller transform, (B, *shape)."""
        radius = (1 - self.tag("radius").uniform(*shape)).log_().mul_(-2).sqrt_()
        return radius.mul_(self.tag("angle").uniform(*shape).mul_(2 * math.pi).cos_())

    def exponential(self, *shape: int) -> Tensor:
        """Exponential with mean one, (B, *shape)."""
        return (1 - self.uniform(*shape)).log_().neg_()

    def integers(self, count: int, *shape: int) -> Tensor:
        """Whole numbers in [0, count), int64, (B, *shape)."""
        return (self.uniform(*shape) * count).to(torch.int64).clamp_(max=count - 1)
