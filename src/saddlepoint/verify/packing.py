"""Certificates of many samples as a few flat arrays, and back."""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from saddlepoint.core.errors import BadData
from saddlepoint.verify.certificate import IBP, PLANES, Certificate

__all__ = ["pack", "unpack"]

_VERSION = 3
_METHODS = (IBP, PLANES)
# What follows one another in the array of that name: its type, and the numbers of one entry.
_PARTS = {
    "low": (torch.float32, 1),
    "high": (torch.float32, 1),
    "claim": (torch.int32, 2),
    "lean": (torch.int32, 2),
    "root": (torch.int32, 1),
    "crest": (torch.int32, 1),
    "split": (torch.int32, 4),
    "at": (torch.float32, 1),
    "leaf": (torch.int32, 1),
    "weights": (torch.float32, 1),
    "beta": (torch.float64, 1),
}
_DEFLATED = ("t", "roof")
_SIZES = (  # columns of ``sizes``
    *("method", "stored", *_PARTS),
    *("kinds", "bent", "t", "roofs", "inputs", "roof"),
)


def pack(certificates: Sequence[Certificate]) -> dict[str, Tensor]:
    """Join certificates part by part; ``sizes`` (N, 19) says what belongs to whom.

    Masks become bits, the first element in the highest; t and roof of a sample are deflated (zlib).

    >>> packed = pack([Certificate(), Certificate()])
    >>> [c.method for c in unpack(packed)]
    ['ibp', 'ibp']
    """
    sizes = torch.zeros(len(certificates), len(_SIZES), dtype=torch.int64)
    joined: dict[str, list[Tensor]] = {name: [] for name in (*_PARTS, "stored", *_DEFLATED)}
    for row, c in zip(sizes, certificates, strict=True):
        if c.t.dtype != torch.uint8:
            raise BadData("only t in whole 255ths can be stored")
        tables = [(table, zlib.compress(table.numpy().tobytes(), 6)) for table in (c.t, c.roof)]
        lengths = [getattr(c, name).numel() // width for name, (_, width) in _PARTS.items()]
        row[:] = torch.tensor(
            [_METHODS.index(c.method), len(c.stored), *lengths]
            + [n for table, deflated in tables for n in (*table.shape, len(deflated))]
        )
        for name in _PARTS:
            joined[name].append(getattr(c, name).flatten())
        joined["stored"].append(torch.from_numpy(np.packbits(c.stored.numpy())))
        for name, (_, deflated) in zip(_DEFLATED, tables, strict=True):
            joined[name].append(torch.from_numpy(np.frombuffer(deflated, np.uint8).copy()))
    types = {**{name: dtype for name, (dtype, _) in _PARTS.items()}, "stored": torch.uint8}
    return {
        "version": torch.tensor([_VERSION]),
        "sizes": sizes,
        **{
            name: torch.cat([torch.zeros(0, dtype=types.get(name, torch.uint8)), *parts])
            for name, parts in joined.items()
        },
    }


def unpack(packed: Mapping[str, Tensor]) -> list[Certificate]:
    """Return the certificates; raises ``BadData`` where the arrays do not fit each other."""
    sizes, version = packed.get("sizes"), packed.get("version")
    if version is None or version.tolist() != [_VERSION]:
        raise BadData(f"certificates in another format than {_VERSION}, which this version reads")
    wanted = {**{name: dtype for name, (dtype, _) in _PARTS.items()}, "stored": torch.uint8}
    wanted |= dict.fromkeys(_DEFLATED, torch.uint8)
    for name, dtype in wanted.items():
        if name not in packed or packed[name].dtype != dtype or packed[name].dim() != 1:
            raise BadData(f"certificates whose {name} is missing or of another type")
    if sizes is None or sizes.dtype != torch.int64 or sizes.shape[1:] != (len(_SIZES),):
        raise BadData("certificates without a table of their sizes")
    if sizes.numel() and int(sizes.min()) < 0:
        raise BadData("certificates with sizes below zero")
    begin = dict.fromkeys(wanted, 0)
    found = [_one(packed, begin, row) for row in sizes.tolist()]
    if any(begin[name] != len(packed[name]) for name in wanted):
        raise BadData("certificates with numbers that belong to none")
    return found


def _one(packed: Mapping[str, Tensor], begin: dict[str, int], row: list[int]) -> Certificate:
    """Cut the next certificate out, and move on."""
    size = dict(zip(_SIZES, row, strict=True))

    def take(name: str, count: int) -> Tensor:
        part = packed[name][begin[name] : begin[name] + count]
        if len(part) != count:
            raise BadData(f"certificates cut short: {name} ends early")
        begin[name] += count
        return part

    parts = {}
    for name, (_, width) in _PARTS.items():
        flat = take(name, size[name] * width)
        parts[name] = flat.reshape(-1, width) if width > 1 else flat
    bits = take("stored", -(-size["stored"] // 8)).numpy()
    stored = torch.from_numpy(np.unpackbits(bits, count=size["stored"]).astype(bool))
    t = _inflated(take("t", size["t"]).numpy().tobytes(), size["kinds"], size["bent"])
    roof = take("roof", size["roof"]).numpy().tobytes()
    parts["roof"] = _inflated(roof, size["roofs"], size["inputs"])
    if bool(size["roofs"]) != bool(size["inputs"]):
        raise BadData("certificates with rows of planes without numbers")
    if size["weights"] % max(1, size["leaf"]):
        raise BadData("certificates with weights for other leaves than there are")
    parts["weights"] = parts["weights"].reshape(
        size["leaf"], size["weights"] // max(1, size["leaf"])
    )
    if not 0 <= size["method"] < len(_METHODS):
        raise BadData("a certificate by an unknown method")
    return Certificate(_METHODS[size["method"]], stored, t=t, **parts)


def _inflated(deflated: bytes, kinds: int, bent: int) -> Tensor:
    """T of one sample; never more bytes than it says."""
    reader = zlib.decompressobj()
    try:
        raw = reader.decompress(deflated, kinds * bent + 1)
    except zlib.error as error:
        raise BadData(f"certificates with slopes that do not inflate: {error}") from error
    if len(raw) != kinds * bent or not reader.eof:
        raise BadData("certificates with more or fewer slopes than they say")
    return torch.from_numpy(np.frombuffer(raw, np.uint8).copy()).reshape(kinds, bent)
