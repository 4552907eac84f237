"""Synthetic run folders as an audit would leave them, for the tests of the report."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

STRONG = "APGD(steps=100, loss='cross-entropy')"
WEAK = "FGSM()"


@dataclass(frozen=True)
class Fake:
    """A run to invent: ``robust`` samples withstand and ``wrong`` are wrong without any attack."""

    name: str = "mnist-fgsm.safetensors"
    shape: tuple[int, ...] = (1, 28, 28)
    n: int = 200
    wrong: int = 3
    robust: int = 150
    eps: float = 0.3
    errors: int = 0
    not_run: int = 0
    gallery: int = 8
    figures: bool = True
    seed: int = 0
    data: str = "mnist"

    @property
    def broken(self) -> int:
        return self.n - self.robust


def _interval(share: float, n: int) -> list[float]:
    half = 1.96 * (share * (1 - share) / n + 1e-4) ** 0.5
    return [max(0.0, share - half), min(1.0, share + half)]


def _order(fake: Fake) -> np.ndarray:
    """Samples from weakest to strongest."""
    return np.random.default_rng(7).permutation(fake.n)


def _attack(fake: Fake, spec: str, broken: int, left: int, forward: float) -> dict[str, Any]:
    last = spec == STRONG
    errors, skipped = (fake.errors, fake.not_run) if last else (0, 0)
    return {
        "spec": spec,
        "evaluated": left - skipped,
        "broken": broken,
        "survived": left - broken - errors - skipped,
        "error": errors,
        "not_run": fake.n - left + skipped,
        "robust_accuracy_after": (left - broken) / fake.n,
        "forward": forward,
        "backward": max(0.0, forward - 1),
        "seconds": forward / 7,
        "message": "RuntimeError: non-finite gradient at step 3" if errors else None,
    }


def _attacks(fake: Fake) -> list[dict[str, Any]]:
    weak = (fake.broken - fake.wrong) // 2
    left = fake.n - fake.wrong
    return [
        {**_attack(fake, "clean", fake.wrong, fake.n, 1.0), "not_run": 0},
        _attack(fake, WEAK, weak, left, 2.0),
        _attack(fake, STRONG, fake.broken - fake.wrong - weak, left - weak, 88.04),
    ]


def audit_of(fake: Fake) -> dict[str, Any]:
    """The audit.json of a fake run."""
    clean, robust = 1 - fake.wrong / fake.n, fake.robust / fake.n
    return {
        "schema_version": "1.0",
        "status": "partial" if fake.not_run else "complete",
        "saddlepoint": "0.1.0",
        "created": "2026-11-22T19:00:00+00:00",
        "model": {"name": fake.name, "arch": "conv-small", "parameters": 166406},
        "data": {"name": fake.data, "split": "test", "classes": 10, "shape": list(fake.shape)},
        "threat": {
            "spec": f"Linf(eps={'8/255' if fake.eps == 8 / 255 else fake.eps})",
            "name": "Linf",
            "eps": fake.eps,
            "box": [0.0, 1.0],
            "quantize": None,
            "access": "gradients",
            "goal": "untargeted",
            "description": f"every input value may change by at most {fake.eps:.4g} "
            "and stays in [0, 1]",
        },
        "n": fake.n,
        "clean_accuracy": clean,
        "clean_interval": _interval(clean, fake.n),
        "robust_accuracy": {
            "upper": robust,
            "lower": 0.0,
            "interval": _interval(robust, fake.n),
            "confidence": 0.95,
        },
        "counts": {
            "broken": fake.broken,
            "survived": fake.robust - fake.errors - fake.not_run,
            "error": fake.errors,
            "not_run": fake.not_run,
            "clean_wrong": fake.wrong,
        },
        "attacks": _attacks(fake),
        "cost": {
            "forward": 300.1,
            "backward": 298.0,
            "rows_forward": 300100,
            "rows_backward": 298000,
            "seconds": 40.2,
        },
        "findings": _findings(fake),
        "model_sha256": "5e" * 32,
        "data_sha256": "da" * 32,
        "plan": {"attacks": [WEAK, STRONG], "batch_size": 256, "threat": "Linf"},
        "seed": 0,
        "environment": {"python": "3.11.7", "torch": "2.13.0", "device": "cpu", "threads": 2},
    }


def _findings(fake: Fake) -> list[dict[str, str]]:
    rows = [
        ("clean accuracy", "ok", "98.5 %", "the model works on clean data", ""),
        (
            "one step beats many steps",
            "warn",
            "FGSM broke 4 that APGD did not",
            "the loss misleads the stronger attack",
            "add restarts",
        ),
        (
            "gradients",
            "fail",
            "12.0 % of gradients are zero",
            "gradients are masked, the figure above is too high",
            "use a smooth surrogate",
        ),
        ("8-bit rounding", "inconclusive", "not run", "witnesses may not survive being saved", ""),
    ]
    keys = ("check", "verdict", "measured", "meaning", "next_step")
    return [dict(zip(keys, row, strict=True)) for row in rows]


def _evidence(fake: Fake) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(fake.seed)
    order, rows = _order(fake), []
    weak = fake.wrong + (fake.broken - fake.wrong) // 2
    for attack, (start, until) in enumerate(
        ((0, fake.wrong), (fake.wrong, weak), (weak, fake.broken))
    ):
        for rank in range(start, fake.n):
            status, margin = (2, rng.uniform(0.1, 6)) if rank < until else (1, -rng.gamma(2, 2))
            if attack == 2 and rank >= fake.n - fake.not_run:
                status, margin = 0, np.nan
            rows.append((order[rank], attack, status, margin, 40, 40))
    names = ("sample", "attack", "status", "margin", "forward", "backward")
    types = (np.int64, np.int16, np.int8, np.float32, np.int32, np.int32)
    columns = list(zip(*rows, strict=True))
    found = {k: np.array(c, t) for k, c, t in zip(names, columns, types, strict=True)}
    label = np.random.default_rng(1).integers(0, 10, fake.n)
    return {
        **found,
        "attacks": np.array(["clean", WEAK, STRONG]),
        "label": label,
        "index": np.arange(fake.n, dtype=np.int64) * 3,
    }


def picture(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A smooth blob with strokes, so that galleries look like something."""
    if len(shape) != 3:
        return rng.uniform(0.1, 0.9, shape).astype(np.float32)
    c, h, w = shape
    y, x = np.mgrid[0:h, 0:w] / max(h, w)
    image = np.zeros(shape)
    for k in range(c):
        a, b, r = rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7), rng.uniform(0.15, 0.3)
        ring = np.exp(-((np.hypot(x - a, y - b) - r) ** 2) / 0.004)
        image[k] = np.clip(ring + 0.25 * (c == 3) * np.sin(6 * x + k), 0, 1)
    return image.astype(np.float32)


def _gallery(fake: Fake) -> dict[str, np.ndarray]:
    rng, g = np.random.default_rng(fake.seed + 5), fake.gallery
    x = np.stack([picture(fake.shape, rng) for _ in range(g)])
    x_adv = np.clip(x + fake.eps * np.sign(rng.normal(size=x.shape)), 0, 1)
    label = rng.integers(0, 10, g)
    return {
        "index": np.arange(g, dtype=np.int64) * 3,
        "x": x,
        "x_adv": x_adv.astype(np.float32),
        "label": label,
        "pred_before": label,
        "pred_after": (label + 3) % 10,
        "conf_before": rng.uniform(0.8, 1, g).astype(np.float32),
        "conf_after": rng.uniform(0.4, 1, g).astype(np.float32),
        "attack": np.array([WEAK, STRONG] * g)[:g],
    }


def _curve(axis: str, x: list[float], y: np.ndarray) -> dict[str, Any]:
    low, high = np.clip(y - 0.05, 0, 1), np.clip(y + 0.04, 0, 1)
    curve = {axis: x, "accuracy": y.tolist(), "low": low.tolist(), "high": high.tolist()}
    return {**curve, "attack": "PGD(steps=20)"}


def figures_of(fake: Fake) -> dict[str, Any]:
    """The figures.json of a fake run."""
    rng = np.random.default_rng(fake.seed)
    clean, robust = 1 - fake.wrong / fake.n, fake.robust / fake.n
    eps = [fake.eps * k for k in (0, 0.25, 0.5, 0.75, 1, 1.5, 2)]
    steps = [0.0, 1, 2, 5, 10, 20, 50, 100]
    rate = -np.log(max(robust, 0.02) / clean) / fake.eps
    t = np.linspace(0, 2, 21)
    fgsm, pgd = 6 * t * np.exp(-0.9 * t) + 0.1, 5 * (1 - np.exp(-2.2 * t)) + 0.1
    bands = {
        name: {"mean": m.tolist(), "low": (0.7 * m).tolist(), "high": (1.3 * m).tolist()}
        for name, m in (("fgsm", fgsm), ("pgd", pgd))
    }
    values = [(rng.uniform(3, 12) - rng.gamma(2, 0.15, 50)).tolist() for _ in range(8)]
    decay = robust + (clean - robust) * np.exp(-np.array(steps) / 6)
    return {
        "n": 64,
        "eps_curve": _curve(
            "eps", eps, clean * np.exp(-rate * np.array(eps) ** 1.6 * fake.eps**-0.6)
        ),
        "steps_curve": _curve("steps", steps, decay),
        "landscape": {"t": t.tolist(), "loss": "cross-entropy", **bands},
        "maxima": {"index": [3 * i for i in range(8)], "loss": "cross-entropy", "values": values},
    }


def make_run(folder: Path, fake: Fake | None = None, **changes: object) -> Path:
    """Write a run folder; ``changes`` replace keys of audit.json."""
    fake = fake or Fake()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "audit.json").write_text(json.dumps({**audit_of(fake), **changes}), encoding="utf-8")
    np.savez_compressed(folder / "evidence.npz", **_evidence(fake))
    if fake.broken:
        index = np.sort(_order(fake)[: fake.broken] * 3)
        x = np.zeros((fake.broken, *fake.shape), np.float32)
        save_file({"x_adv": x, "index": index}, folder / "witnesses.safetensors")
    if fake.gallery:
        np.savez_compressed(folder / "gallery.npz", **_gallery(fake))
    if fake.figures:
        (folder / "figures.json").write_text(json.dumps(figures_of(fake)), encoding="utf-8")
    return folder


def _first(fake: Fake, count: int) -> np.ndarray:
    """Samples that an attack broke, then samples that withstood, ``count`` of each."""
    order = _order(fake)
    return np.concatenate([order[fake.wrong :][:count], order[fake.broken :][:count]])


PILOT = ("Targets(PGD(loss='margin'), n=3)", "Square(n_queries=250)")


def add_pilot(folder: Path, fake: Fake) -> Path:
    """Append two pilot rounds on the same 20 samples: 10 that broke before, 10 that withstood.

    The first arm breaks eight of them, the second five; four are broken by both.
    """
    with np.load(folder / "evidence.npz") as stored:
        e = dict(stored)
    rows, fell = _first(fake, 10), (np.arange(8), np.arange(4, 9))
    for arm, broken in enumerate(fell):
        status = np.ones(20, np.int8)
        status[broken] = 2
        extra = {"sample": rows, "attack": np.full(20, 3 + arm), "status": status}
        extra |= {"margin": np.where(status == 2, 0.1, -0.1), "forward": np.full(20, 10)}
        extra |= {"backward": np.full(20, 5)}
        for name, column in extra.items():
            e[name] = np.concatenate([e[name], column.astype(e[name].dtype)])
    e["arms"] = e["attacks"] = np.array(["clean", WEAK, STRONG, *PILOT])
    e["stages"] = np.array(["clean", "attack", "attack", "pilot", "pilot"])
    np.savez(folder / "evidence.npz", **e)
    audit = json.loads((folder / "audit.json").read_text())
    for row, stage in zip(audit["attacks"], e["stages"].tolist(), strict=False):
        row |= {"arm": row["spec"], "stage": stage, "newly_broken": row["broken"]}
    for arm, broken in zip(PILOT, fell, strict=True):
        row = {**audit["attacks"][-1], "spec": arm, "arm": arm, "stage": "pilot", "evaluated": 20}
        row |= {"broken": len(broken), "newly_broken": 0, "forward": 1.0, "backward": 0.5}
        audit["attacks"].append(row)
    (folder / "audit.json").write_text(json.dumps(audit), encoding="utf-8")
    return folder


def incompleteness(upper: float) -> dict[str, Any]:
    """What an audit says about its survivors that met the full suite."""
    return {
        "audited": 30,
        "broken": 0,
        "share_at_most": 0.0950,
        "upper_if_complete": upper,
        "low": upper * (1 - 0.0950),
        "residual": {"seen_once": 7, "seen_twice": 6, "unseen": 4.1, "interval": [1.0, 14.0]},
        "words": None,
    }


def add_insides(folder: Path, fake: Fake) -> Path:
    """Write samples.npz and inspection.npz as an audit would."""
    rng = np.random.default_rng(3)
    with np.load(folder / "evidence.npz") as stored:
        label = stored["label"]
    rows = _first(fake, 4)
    x = np.stack([picture(fake.shape, rng) for _ in rows])
    broken = np.sort(_order(fake)[: fake.broken])
    np.savez(
        folder / "samples.npz",
        kind=np.array(["easy"] * 4 + ["narrow"] * 2 + ["safe"] * 2),
        index=rows * 3,
        x=x,
        label=label[rows],
        pred=(label[rows] + np.repeat([1, 0], 4)) % 10,
        margin=np.array([0.5, 0.25, 1, 2, -0.01, -0.02, -9, -8], np.float32),
        passes=np.array([3, 3, 5, 1234, 90, 90, 90, 90]),
        attack=np.array([WEAK] * 4 + [""] * 4),
        witness_index=broken * 3,
        witness_pred=(label[broken] + 1) % 10,
    )
    seen = {"index": rows * 3, "label": label[rows], "x": x, "note": np.array("")}
    gradient = rng.normal(size=x.shape).astype(np.float32)
    gradient[0] = 0
    filters = rng.normal(size=(6, fake.shape[0], 5, 5)).astype(np.float32)
    if len(fake.shape) == 3:
        seen["filters"] = filters * np.array([1, 1, 1, 0, 0, 0])[:, None, None, None]
    np.savez(folder / "inspection.npz", **seen, gradient=gradient)
    return folder
