"""Certificates of a run: written, read, rechecked, and refused when anything was altered."""

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import saddlepoint as sp
from saddlepoint.audit.certificates import FILE, Certificates, row_hash, write_certificates
from saddlepoint.audit.recheck import Recheck, recheck
from saddlepoint.audit.replay import Witnesses
from saddlepoint.audit.samples import Pair
from saddlepoint.core.errors import BadData
from saddlepoint.core.goal import Untargeted
from saddlepoint.verify.certificate import Certificate
from saddlepoint.verify.certify import certify_ibp
from saddlepoint.verify.checker import Checker
from saddlepoint.verify.proof.inputs import inputs
from saddlepoint.verify.spec import margins
from saddlepoint.views import Rotate
from tests.audit.conftest import Subject

THREAT = sp.Linf(0.01)


@pytest.fixture(scope="module")
def original(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and certificates of all samples that intervals prove: all that are not broken."""
    tmp_path = tmp_path_factory.mktemp("run")
    attacks = (sp.PGD(steps=5),)
    sp.audit(subject.model, (subject.x, subject.y), THREAT, attacks, out=tmp_path, figures=0)
    checker = Checker.of(subject.model, (1, 8, 8))
    claims = []
    for row, (x, y) in enumerate(zip(subject.x, subject.y, strict=True)):
        spec = margins(Untargeted(y[None]), 10, x)
        certificate = certify_ibp(checker, inputs(THREAT, x), spec)
        if certificate is not None:
            claims.append((row, row_hash(x, int(y)), certificate))
    said = json.loads((tmp_path / "audit.json").read_text())
    header = {name: said[name] for name in ("model_sha256", "data_sha256")}
    write_certificates(tmp_path / FILE, claims, {**header, "threat": said["threat"]["spec"]})
    assert len(claims) + said["counts"]["broken"] == len(subject.x)
    assert len(claims) > 30
    return tmp_path


@pytest.fixture
def finished(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "run"))


def rechecked(folder: Path, subject: Subject, model: nn.Module | None = None) -> Recheck:
    claims = Certificates.load(folder)
    assert claims is not None
    samples = Pair(subject.x, subject.y)
    return recheck(Witnesses.load(folder), claims, model or subject.model, samples, THREAT)


def edit(folder: Path, header: dict[str, str] | None = None, **parts: torch.Tensor) -> None:
    """Write the file anew with other parts."""
    from safetensors import safe_open

    path = folder / FILE
    with safe_open(path, framework="pt") as file:
        said = json.loads(file.metadata()["saddlepoint"])
    about = {"saddlepoint": json.dumps({**said, **(header or {})})}
    save_file({**load_file(path), **parts}, path, about)


def test_certificates_of_a_run_hold(finished: Path, subject: Subject) -> None:
    result = rechecked(finished, subject)
    assert result.holds
    assert result.checked == len(load_file(finished / FILE)["index"])


def test_progress_reaches_the_end(finished: Path, subject: Subject) -> None:
    claims, seen = Certificates.load(finished), []
    assert claims is not None
    samples = Pair(subject.x, subject.y)
    run = Witnesses.load(finished)
    recheck(run, claims, subject.model, samples, THREAT, lambda *now: seen.append(now))
    count = len(claims.index)
    assert seen == [(i, count) for i in range(count + 1)]


def test_equal_claims_give_equal_bytes(tmp_path: Path) -> None:
    claims = [(k, row_hash(torch.zeros(2), k), Certificate()) for k in range(3)]
    header = dict.fromkeys(("model_sha256", "data_sha256", "threat"), "x")
    for name in ("one", "two"):
        write_certificates(tmp_path / name, claims, header)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_another_model_another_set_other_samples(finished: Path, subject: Subject) -> None:
    other = copy.deepcopy(subject.model)
    with torch.no_grad():
        other[1].weight *= 1.01
    assert set(rechecked(finished, subject, other).failed.values()) == {
        "a certificate of another model"
    }
    edit(finished, {"threat": "Linf(eps=0.001)"})
    assert "for Linf(eps=0.001)" in set(rechecked(finished, subject).failed.values()).pop()
    edit(finished, {"threat": "Linf(eps=0.01)", "data_sha256": "0"})
    assert "of other samples" in set(rechecked(finished, subject).failed.values()).pop()


def test_certificates_say_nothing_of_views(finished: Path, subject: Subject) -> None:
    document = json.loads((finished / "audit.json").read_text())
    under = sp.Expectation(Rotate(20), draws=3, trials=30)
    document["plan"]["under"] = under.describe()
    (finished / "audit.json").write_text(json.dumps(document))
    result = rechecked(finished, subject)
    assert set(result.failed) == set(Certificates.load(finished).index)  # type: ignore[union-attr]
    assert set(result.failed.values()) == {"a certificate of inputs as they are, not of views"}


def test_a_certificate_moved_to_another_sample(finished: Path, subject: Subject) -> None:
    tensors = load_file(finished / FILE)
    index = tensors["index"].clone()
    free = next(i for i in range(len(subject.x)) if i not in index.tolist())
    index[3] = free
    edit(finished, index=index)
    assert rechecked(finished, subject).failed == {free: "a certificate of another sample"}
    index[3] = 10**9
    edit(finished, index=index)
    assert rechecked(finished, subject).failed == {10**9: "a certificate of another sample"}


def test_a_broken_sample_is_not_certified(finished: Path, subject: Subject) -> None:
    row = int(Witnesses.load(finished).index[0])
    tensors = load_file(finished / FILE)
    index, hashes = tensors["index"].clone(), tensors["row_sha256"].clone()
    index[0] = row
    digest = row_hash(subject.x[row], int(subject.y[row]))
    hashes[0] = torch.tensor(list(digest), dtype=torch.uint8)
    edit(finished, index=index, row_sha256=hashes)
    assert "broken by a witness" in rechecked(finished, subject).failed[row]


def test_a_sample_that_is_not_proved(finished: Path, subject: Subject) -> None:
    """The same claim without the witness that contradicts it: the proof itself fails."""
    run = Witnesses.load(finished)
    row = int(run.index[0])
    digest = row_hash(subject.x[row], int(subject.y[row]))
    claims = Certificates.load(finished)
    assert claims is not None
    claims = replace(claims, index=[row], row_sha256=[digest], certificates=[Certificate()])
    run = replace(run, index=run.index[1:], x_adv=run.x_adv[1:])
    samples = Pair(subject.x, subject.y)
    result = recheck(run, claims, subject.model, samples, THREAT)
    assert "leave group" in result.failed[row]


def test_a_count_that_differs(finished: Path, subject: Subject) -> None:
    said = json.loads((finished / "audit.json").read_text())
    said["counts"]["certified"] = 3
    (finished / "audit.json").write_text(json.dumps(said))
    with pytest.raises(BadData, match="the run was altered"):
        rechecked(finished, subject)


@pytest.mark.parametrize("damage", ["text", "cut", "header", "foreign", "twice", "types", "lists"])
def test_a_damaged_file_is_refused(damage: str, finished: Path) -> None:
    path = finished / FILE
    tensors = load_file(path)
    if damage == "text":
        path.write_text("not safetensors")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "header":
        save_file(tensors, path)
    elif damage == "foreign":
        save_file({"weight": torch.zeros(3)}, path, {"saddlepoint": "{}"})
    elif damage == "twice":
        index = tensors["index"].clone()
        index[1] = index[0]
        edit(finished, index=index)
    elif damage == "types":
        edit(finished, index=tensors["index"].double())
    else:
        save_file(tensors, path, {"saddlepoint": "[]"})
    with pytest.raises(BadData):
        Certificates.load(finished)


def test_a_run_without_certificates(finished: Path) -> None:
    (finished / FILE).unlink()
    assert Certificates.load(finished) is None
