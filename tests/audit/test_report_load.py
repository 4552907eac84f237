"""What Run.load makes of good runs, short ones and bad ones."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from saddlepoint.audit.report import Run
from saddlepoint.core.errors import BadData
from tests.audit.test_report_runs import Fake, make_run


def test_a_run_knows_which_samples_fell(tmp_path: Path) -> None:
    run = Run.load(make_run(tmp_path / "run"))
    assert run.name == "mnist-fgsm.safetensors"
    assert (run.broken.sum(), run.clean_wrong.sum()) == (50, 3)
    assert len(run.witnesses) == 50
    assert np.array_equal(run.margin > 0, run.broken)


def test_optional_files_may_be_missing(tmp_path: Path) -> None:
    fake = Fake(robust=200, wrong=0, gallery=0, figures=False)
    run = Run.load(make_run(tmp_path / "run", fake))
    assert not run.gallery
    assert not run.figures
    assert len(run.witnesses) == 0


def test_a_shorter_audit_is_filled(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    audit = json.loads((folder / "audit.json").read_text())
    for key in ("seed", "plan", "environment", "model_sha256", "clean_interval", "saddlepoint"):
        del audit[key]
    (folder / "audit.json").write_text(json.dumps(audit))
    assert Run.load(folder).audit["model_sha256"] is None


def _edit(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        table = json.loads((folder / name).read_text())
        change(table)
        (folder / name).write_text(json.dumps(table))

    return spoil


def _rewrite(name: str, **arrays: np.ndarray | None) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        with np.load(folder / name) as stored:
            table = {**stored, **arrays}
        np.savez(folder / name, **{k: v for k, v in table.items() if v is not None})

    return spoil


def _truncate(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:100]) and None


def _single() -> bytes:
    file = BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "no audit": (lambda f: (f / "audit.json").unlink(), "audit.json: missing"),
    "no evidence": (lambda f: (f / "evidence.npz").unlink(), "evidence.npz: missing"),
    "no witnesses": (lambda f: (f / "witnesses.safetensors").unlink(), "need their witnesses"),
    "half an audit": (_truncate("audit.json"), "not readable as JSON"),
    "half the evidence": (_truncate("evidence.npz"), "truncated, corrupt or unsafe"),
    "half the witnesses": (_truncate("witnesses.safetensors"), "not a readable witness file"),
    "half a gallery": (_truncate("gallery.npz"), "truncated, corrupt or unsafe"),
    "half the figures": (_truncate("figures.json"), "not readable as JSON"),
    "a list": (lambda f: (f / "audit.json").write_text("[]") and None, "not a JSON object"),
    "deep": (
        lambda f: (f / "audit.json").write_text("[" * 200_000) and None,
        "not readable as JSON",
    ),
    "not an archive": (
        lambda f: f.joinpath("evidence.npz").write_bytes(_single()) and None,
        "not an npz archive",
    ),
    "newer": (_edit("audit.json", lambda a: a.update(schema_version="2.0")), "newer saddlepoint"),
    "foreign": (_edit("audit.json", lambda a: a.pop("schema_version")), "no audit of saddlepoint"),
    "no threat": (_edit("audit.json", lambda a: a.pop("threat")), "threat must be an object"),
    "impossible": (
        _edit("audit.json", lambda a: a["robust_accuracy"].update(upper=1.2)),
        r"robust_accuracy.upper must be a number in \[0, 1\], is 1.2",
    ),
    "not a number": (
        _edit("audit.json", lambda a: a.update(clean_accuracy=float("nan"))),
        "clean_accuracy must be",
    ),
    "odd attack": (_edit("audit.json", lambda a: a["attacks"].append(3)), r"attacks\[3\]"),
    "odd finding": (_edit("audit.json", lambda a: a["findings"].append({})), r"findings\[4\]"),
    "objects": (_rewrite("evidence.npz", margin=np.array([None, 1])), "unsafe"),
    "no margin": (_rewrite("evidence.npz", margin=None), "margin must be there"),
    "typed": (_rewrite("evidence.npz", status=np.array(["x"])), "status has type"),
    "lengths": (_rewrite("evidence.npz", sample=np.zeros(3, np.int64)), "differ in length"),
    "labels": (_rewrite("evidence.npz", label=np.zeros(3, np.int64)), "must have n = 200"),
    "gallery": (_rewrite("gallery.npz", label=None), "lacks label"),
    "gallery shape": (_rewrite("gallery.npz", x=np.zeros((8, 2))), "one shape"),
    "gallery length": (_rewrite("gallery.npz", label=np.zeros(3)), "one entry per witness"),
    "curve": (_edit("figures.json", lambda f: f["eps_curve"]["low"].pop()), "differ in length"),
    "curve text": (
        _edit("figures.json", lambda f: f["eps_curve"].update(low="x")),
        "must be a list of numbers",
    ),
    "landscape": (_edit("figures.json", lambda f: f["landscape"]["t"].pop()), "one value per t"),
    "maxima": (_edit("figures.json", lambda f: f["maxima"]["index"].pop()), "differ in length"),
    "maxima keys": (_edit("figures.json", lambda f: f["maxima"].pop("index")), "index must be"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("good") / "run", Fake(shape=(1, 4, 4)))


@pytest.mark.parametrize("case", BAD)
def test_bad_runs_say_what_is_wrong(case: str, good: Path, tmp_path: Path) -> None:
    folder = copytree(good, tmp_path / "run")
    spoil, message = BAD[case]
    spoil(folder)
    with pytest.raises(BadData, match=message):
        Run.load(folder)


def test_statuses_are_in_range(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    with np.load(folder / "evidence.npz") as stored:
        status = stored["status"].copy()
    status[0] = 9
    _rewrite("evidence.npz", status=status)(folder)
    with pytest.raises(BadData, match=r"status must lie in 0\.\.3"):
        Run.load(folder)


def test_witness_rows_and_indices_belong_together(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    bad = {"x_adv": np.zeros((3, 4), np.float32), "index": np.zeros(2, np.int64)}
    save_file(bad, folder / "witnesses.safetensors")
    with pytest.raises(BadData, match="do not belong together"):
        Run.load(folder)
