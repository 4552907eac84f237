"""Random places, computed anew: the generator's published recurrence in unsigned arithmetic."""

import zlib

import numpy as np

__all__ = ["place_of"]

_GOLDEN, _A, _B = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_WORD = 1 << 64


def _mix(z: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    z = (z ^ z >> 30) * _A % _WORD
    z = (z ^ z >> 27) * _B % _WORD
    return z ^ z >> 31


def _below(count: int, seed: int, row: int, tag: str) -> int:
    key = (zlib.crc32(repr(tag).encode()) + 1) % _WORD
    stream = _mix((seed + key * _GOLDEN) % _WORD)
    sample = _mix((row * _GOLDEN + stream) % _WORD)
    word = _mix((sample + _GOLDEN) % _WORD)
    share = np.float32(word >> 40) / np.float32(1 << 24)
    return min(int(share * np.float32(count)), count - 1)


def place_of(seed: int, row: int, room: tuple[int, int]) -> tuple[int, int]:
    """Top and left of the patch on sample ``row``, each below ``room``.

    >>> place_of(seed=0, row=3, room=(1, 1))
    (0, 0)
    """
    return _below(room[0], seed, row, "top"), _below(room[1], seed, row, "left")
