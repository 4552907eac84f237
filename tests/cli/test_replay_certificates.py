"""``saddlepoint replay`` on a run with certificates."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from saddlepoint.audit.certificates import FILE, row_hash, write_certificates
from saddlepoint.core.goal import Untargeted
from saddlepoint.data import load_data
from saddlepoint.presets import parse_threat
from saddlepoint.verify.certify import certify_ibp
from saddlepoint.verify.checker import Checker
from saddlepoint.verify.proof.inputs import inputs
from saddlepoint.verify.spec import margins
from tests.audit.conftest import fitted
from tests.cli.kit import run, said

THREAT = "Linf(eps=0.01)"
ARCH = ("--arch", "tests.cli.nets:linear", "--device", "cpu")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "linear.safetensors"
    save_file(fitted().model.state_dict(), path)
    return path


@pytest.fixture
def finished(weights: Path, tmp_path: Path) -> Path:
    out = tmp_path / "run"
    words = ("--model", weights, *ARCH, "--threat", THREAT, "--n", 20, "--out", out)
    run("audit", *words, "--attack", "PGD(steps=5)", "--figures", 0)
    document = json.loads((out / "audit.json").read_text())
    samples = load_data(document["data"]["name"]).split(document["data"]["split"])
    threat, checker = parse_threat(THREAT), Checker.of(fitted().model, (1, 8, 8))
    claims = []
    for row, (x, y) in enumerate(zip(*samples.batch(torch.arange(20)), strict=True)):
        certificate = certify_ibp(checker, inputs(threat, x), margins(Untargeted(y[None]), 10, x))
        if certificate is not None:
            claims.append((row, row_hash(x, int(y)), certificate))
    header = {name: document[name] for name in ("model_sha256", "data_sha256")}
    write_certificates(out / FILE, claims, {**header, "threat": THREAT})
    return out


def test_replay_checks_certificates(finished: Path, weights: Path) -> None:
    path = finished / FILE
    tensors = load_file(path)
    count = len(tensors["index"])
    assert count > 3
    result = run("replay", finished, "--model", weights, *ARCH)
    assert "witnesses hold" in result.output
    assert f"{count} of {count} certificates hold" in result.output
    with safe_open(path, framework="pt") as file:
        about = file.metadata()
    tensors["row_sha256"][1, 5] += 1
    save_file(tensors, path, about)
    altered = run("replay", finished, "--model", weights, *ARCH, code=1)
    assert f"{count - 1} of {count} certificates hold" in altered.output
    assert "a certificate of another sample" in said(altered)


def test_replay_refuses_a_file_that_is_none(finished: Path, weights: Path) -> None:
    (finished / FILE).write_bytes(b"\x00" * 64)
    result = run("replay", finished, "--model", weights, *ARCH, code=2)
    assert "no readable certificates" in said(result)
