"""Files that a page takes for the reader's own, as ``net.safetensors``: stand-ins on digits."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from saddlepoint.data import load_data

from .fences import fences

__all__ = ["bring", "names"]

_FACTORY = """\
from saddlepoint.models import build


def factory():
    return build("conv-small", (1, 8, 8), 10, {})
"""


def net(folder: Path, demo: Path) -> None:
    shutil.copy(demo / "natural-model/model.safetensors", folder / "net.safetensors")


def factory(folder: Path, demo: Path) -> None:
    (folder / "package").mkdir()
    (folder / "package/module.py").write_text(_FACTORY)


def data(folder: Path, demo: Path) -> None:
    digits = load_data("digits")
    arrays = {
        f"{k}_{s}": np.asarray(getattr(digits, f"{k}_{s}")) for k in "xy" for s in ("train", "test")
    }
    np.savez(folder / "data.npz", **arrays)


def onnx(folder: Path, demo: Path) -> None:
    """Write the linear least squares classifier; its exporter would need one more package."""
    from tests.models.graphs import save

    x, y = load_data("digits").split("train").batch(slice(None))
    rows = np.c_[x.flatten(1).numpy(), np.ones(len(x))]
    fitted = np.linalg.lstsq(rows, np.eye(10)[y.numpy()], rcond=None)[0].astype(np.float32)
    nodes = [("Flatten", ["x"], "h", {}), ("Gemm", ["h", "w", "b"], "y", {})]
    constants = {"w": 10 * fitted[:-1], "b": 10 * fitted[-1]}
    save(folder / "net.onnx", nodes, constants, ("n", 1, 8, 8))


def vnnlib(folder: Path, demo: Path) -> None:
    """Write that no input within 0.3 of a digit is taken for another one, which is not so."""
    x, y = load_data("digits").split("test").batch(slice(0, 1))
    lines = [f"(declare-const X_{i} Real)" for i in range(64)]
    lines += [f"(declare-const Y_{k} Real)" for k in range(10)]
    for i, value in enumerate(x.flatten().tolist()):
        lines.append(f"(assert (>= X_{i} {max(value - 0.3, 0):.6f}))")
        lines.append(f"(assert (<= X_{i} {min(value + 0.3, 1):.6f}))")
    label = int(y)
    wrong = " ".join(f"(and (>= Y_{k} Y_{label}))" for k in range(10) if k != label)
    (folder / "property.vnnlib").write_text("\n".join([*lines, f"(assert (or {wrong}))", ""]))


MAKERS: dict[str, Callable[[Path, Path], None]] = {
    "net.safetensors": net,
    "package.module:factory": factory,
    "data.npz": data,
    "net.onnx": onnx,
    "property.vnnlib": vnnlib,
}


def names(page: str) -> Iterator[str]:
    """The stand-ins that a page names without writing them itself."""
    whole = fences(page)
    for name in MAKERS:
        if name not in [f.title for f in whole] and any(name in f.text for f in whole):
            yield name


def bring(page: str, folder: Path, demo: Path) -> None:
    for name in names(page):
        MAKERS[name](folder, demo)
