"""Audits within sets of features, and perceptual distance as a measure of any audit."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from typer.testing import CliRunner

import saddlepoint as sp
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.audit.report import Run, write_report
from saddlepoint.audit.samples import as_samples
from saddlepoint.audit.suites import cascade
from saddlepoint.cli.main import app
from saddlepoint.core.errors import Invalid
from saddlepoint.models import conv_small
from saddlepoint.models.perceptual import Perceptual
from tests.audit.conftest import Subject

SCHEMA = Path(sp.__file__).parent / "audit/audit.schema.json"


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = conv_small((1, 8, 8), width=4)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(3)  # as it is made, it takes every input for the same class
    return net


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "net").mkdir()
    save_file(network().state_dict(), tmp_path / "net/model.safetensors")
    card = {"arch": "conv-small", "shape": [1, 8, 8], "classes": 10, "options": {"width": 4}}
    (tmp_path / "net/model.json").write_text(json.dumps(card))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def audited(subject: Subject, out: Path | None, threat: Any = None, **options: Any) -> sp.Audit:  # noqa: ANN401
    threat = threat or sp.Linf(eps=0.1)
    attacks = (sp.PGD(steps=3),)
    options = {"n": 8, "figures": 0, "probes": 0, **options}
    return sp.audit(subject.model, (subject.x, subject.y), threat, attacks, out=out, **options)


def test_a_run_within_features_replays(subject: Subject, folder: Path) -> None:
    threat = sp.Features("net", eps=0.6)
    result = audited(subject, folder / "run", threat)
    assert result.document["counts"]["broken"] > 1
    run, data = Witnesses.load(folder / "run"), as_samples((subject.x, subject.y))
    assert data is not None
    again = sp.presets.parse_threat(run.document["plan"]["threat"])
    assert repr(again) == repr(threat)
    assert replay(run, subject.model, data, again).holds
    tighter = replay(run, subject.model, data, sp.Features("net", eps=0.01))
    assert "feature distance" in next(iter(tighter.failed.values()))
    assert "activations of the network 'net'" in result.document["threat"]["description"]


def test_another_network_does_not_continue_the_run(subject: Subject, folder: Path) -> None:
    audited(subject, folder / "run", sp.Features("net", eps=0.6), n=4)
    state = load_file(folder / "net/model.safetensors")
    save_file({k: v * 1.01 for k, v in state.items()}, folder / "net/model.safetensors")
    with pytest.raises(Invalid, match="it holds another run"):
        audited(subject, folder / "run", sp.Features("net", eps=0.6), n=4)


@pytest.fixture(scope="module")
def pair(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> tuple[sp.Audit, sp.Audit]:
    """One audit, without a network and with one."""
    tmp_path = tmp_path_factory.mktemp("pair")
    plain = audited(subject, tmp_path / "plain")
    return plain, audited(subject, tmp_path / "seen", perceptual=network())


def test_distances_of_every_witness(subject: Subject, pair: tuple[sp.Audit, sp.Audit]) -> None:
    plain, result = pair
    assert result.folder is not None
    tmp_path = result.folder.parent
    column, seen = result.table()["perceptual"], Perceptual(network())
    witnesses = load_file(tmp_path / "seen/witnesses.safetensors")
    index = witnesses["index"]
    want = seen.distance(subject.x[index].double(), witnesses["x_adv"].double())
    np.testing.assert_allclose(column[index.numpy()], want.numpy(), rtol=1e-6, atol=1e-9)
    assert np.isnan(np.delete(column, index.numpy())).all()
    said = result.document["perceptual"]
    far = column[index.numpy()][column[index.numpy()] > 0]
    assert said["quartiles"][2] == pytest.approx(float(np.median(far)))
    assert said["witnesses"] == len(far)
    jsonschema.validate(result.document, json.loads(SCHEMA.read_text()))
    # Nothing else changes, and without a network nothing at all is said.
    assert "perceptual" not in plain.document
    assert "perceptual" not in plain.table()
    for name in ("run.json", "witnesses.safetensors"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "seen" / name).read_bytes()
    with (
        np.load(tmp_path / "plain/evidence.npz") as a,
        np.load(tmp_path / "seen/evidence.npz") as b,
    ):
        assert set(b.files) - set(a.files) == {"perceptual"}
        assert all(np.array_equal(a[k], b[k], equal_nan=a[k].dtype.kind == "f") for k in a.files)


def test_the_report_gives_the_distance_below_each_picture(
    pair: tuple[sp.Audit, sp.Audit], tmp_path: Path
) -> None:
    assert pair[0].folder is not None
    assert pair[1].folder is not None
    page = (pair[1].folder / "report.html").read_text()
    run, other = Run.load(pair[1].folder), Run.load(pair[0].folder)
    first = f"perceptual distance {run.gallery['perceptual'][0]:.3g}"
    assert first in page
    assert "Its square is LPIPS" in page
    assert "perceptual" not in (pair[0].folder / "report.html").read_text()
    write_report([run, other], tmp_path / "both.html")


def test_a_network_of_another_size_is_refused_at_once(subject: Subject, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="a size that the feature network"):
        audited(subject, tmp_path / "run", perceptual=conv_small((1, 28, 28)))
    assert not (tmp_path / "run").exists()


def test_on_the_command_line(folder: Path) -> None:
    run = CliRunner().invoke
    common = ["audit", "--model", "net", "--data", "digits", "--attack", "PGD(steps=5)", "--n", "6"]
    common += ["--force", "--figures", "0", "--probes", "0", "--threat", "Linf(1)"]
    done = run(app, [*common, "--out", "run", "--perceptual", "net"])
    assert done.exit_code == 0, done.output
    assert "perceptual distance of" in done.output
    assert json.loads((folder / "run/audit.json").read_text())["perceptual"]["network"] == "net"
    for extra, said in (
        (["--perceptual", "nowhere"], "no such file or folder"),
        (["--perceptual-arch", "vgg16"], "beside --perceptual"),
        (["--perceptual", "os:getcwd"], "never code"),
    ):
        bad = run(app, [*common, "--out", "bad", *extra])
        assert bad.exit_code == 2, bad.output
        assert said in " ".join(bad.output.split())


def test_the_cascade_takes_gradient_steps_only(subject: Subject) -> None:
    said = cascade(threat=sp.Features(network(), eps=0.3)).describe()["attacks"]
    assert said[0] == "PGD(steps=20, loss='probability-margin')"
    assert any("Lagrangian" in a for a in said)
    assert not any("Square" in a for a in said[:-1])  # the suite of the survivors keeps its own
    assert cascade().describe()["attacks"][0] != said[0]
    assert cascade("scores", threat=sp.Features(network(), eps=0.3)).describe()["attacks"]
