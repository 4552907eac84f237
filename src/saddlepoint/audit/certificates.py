"""Certificates of a run on disk, beside its witnesses: certificates.safetensors."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.core.errors import BadData
from saddlepoint.core.files import write_file
from saddlepoint.verify.certificate import Certificate
from saddlepoint.verify.packing import pack, unpack

__all__ = ["FILE", "Certificates", "row_hash", "write_certificates"]

FILE = "certificates.safetensors"
_SAID = ("model_sha256", "data_sha256", "threat")


def row_hash(x: Tensor, y: int) -> bytes:
    """sha256 of one sample: its shape, its values as float32, its label.

    >>> row_hash(torch.zeros(2), 1) == row_hash(torch.zeros(2), 0)
    False
    """
    values = np.ascontiguousarray(x.detach().cpu().numpy().astype("<f4"))
    return hashlib.sha256(f"{values.shape}{int(y)}".encode() + values.tobytes()).digest()


def write_certificates(
    path: Path, claims: Sequence[tuple[int, bytes, Certificate]], header: Mapping[str, str]
) -> None:
    """Write (sample, its ``row_hash``, certificate) for each certified sample.

    header: ``model_sha256``, ``data_sha256`` and ``threat``, as for witnesses. Equal claims give
    equal bytes.
    """
    from safetensors.torch import save_file

    hashes = np.frombuffer(b"".join(digest for _, digest, _ in claims), np.uint8).reshape(-1, 32)
    tensors = {
        "index": torch.tensor([row for row, _, _ in claims], dtype=torch.int64),
        "row_sha256": torch.from_numpy(hashes.copy()),
        **pack([certificate for _, _, certificate in claims]),
    }
    about = {"saddlepoint": json.dumps(dict(header), sort_keys=True)}
    write_file(path, lambda part: save_file(tensors, part, about))


@dataclass(frozen=True, eq=False)
class Certificates:
    """What a run claims to have proved: a certificate for each of the samples ``index``."""

    header: dict[str, Any]
    index: list[int]
    row_sha256: list[bytes]
    certificates: list[Certificate]

    @classmethod
    def load(cls, folder: str | Path) -> "Certificates | None":
        """Read the file of a run, None where there is none; raises ``BadData``."""
        from safetensors import SafetensorError, safe_open

        path = Path(folder) / FILE
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads((file.metadata() or {})["saddlepoint"])
                names = list(file.keys())
                tensors = {name: file.get_tensor(name) for name in names}
            _ = [str(header[name]) for name in _SAID]
            index, hashes = tensors["index"], tensors["row_sha256"]
            found = unpack(tensors)
        except BadData as error:
            raise BadData(f"{path}: {error}") from error
        except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
            raise BadData(
                f"{path} holds no readable certificates: {type(error).__name__}: {error}"
            ) from error
        typed = index.dtype == torch.int64 and hashes.dtype == torch.uint8
        if not typed or index.shape != (len(found),) or hashes.shape != (len(found), 32):
            raise BadData(f"{path}: samples do not fit the certificates")
        rows = index.tolist()
        if len(set(rows)) != len(rows) or (rows and min(rows) < 0):
            raise BadData(f"{path}: samples that are none, or that come twice")
        return cls(header, rows, [bytes(row.tolist()) for row in hashes], found)
