"""What people hand over as data and attacks: taken where it is plain, else told what to do."""

from typing import Any

import numpy as np
import pytest
import torch

import saddlepoint as sp
from saddlepoint.audit.samples import as_samples
from saddlepoint.core.errors import Invalid

X, Y = torch.rand(6, 3, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3


def found(data: Any, attacks: Any = None, **more: Any) -> sp.Audit:  # noqa: ANN401
    settings = {"probes": 0, "figures": 0, "force": True, **more}
    chosen = (sp.FGSM(),) if attacks is None else attacks
    return sp.audit(torch.nn.Identity(), data, sp.Linf(eps=0.1), chosen, **settings)


def test_arrays_are_as_good_as_tensors() -> None:
    a, b = as_samples((X.numpy(), Y.numpy())), as_samples((X, Y))
    assert a is not None
    assert b is not None
    assert a.sha256(6) == b.sha256(6)
    mixed = as_samples([X, Y.tolist()])
    assert mixed is not None
    assert mixed.batch(torch.arange(6))[1].equal(Y)
    assert np.array_equal(
        found((X.numpy(), Y.numpy())).table()["status"], found((X, Y)).table()["status"]
    )


def test_a_list_of_two_batches_stays_a_loader() -> None:
    assert as_samples([(X, Y), (X, Y)]) is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (X, "labels are needed as well"),
        (X.numpy(), "labels are needed as well"),
        ({"x": X, "y": Y}, "labels are needed as well"),
        ("digits", r"load_data\('digits'\).split\('test'\)"),
        (sp.load_data("digits"), r'take its .split\("test"\)'),
        ((X, object()), "y = <object>: must be a tensor or an array"),
        ((np.array([object()]), Y), "x = <ndarray>: must be a tensor or an array"),
        (3, "a pair"),
    ],
    ids=["x", "array", "dict", "name", "data set", "labels", "objects", "number"],
)
def test_other_things_are_told_what_to_be(data: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=said):
        as_samples(data)


def test_one_attack_needs_no_tuple() -> None:
    alone, listed = found((X, Y), sp.FGSM()), found((X, Y), [sp.FGSM()])
    assert alone.document["plan"]["attacks"] == listed.document["plan"]["attacks"] == ["FGSM()"]


@pytest.mark.parametrize(
    ("attacks", "said"),
    [
        (sp.PGD, r"write PGD\(\)"),
        ((sp.FGSM(), sp.PGD), r"write PGD\(\)"),
        (("PGD()",), "command line"),
    ],
    ids=["class", "class among attacks", "text"],
)
def test_what_is_no_attack_is_no_verdict(attacks: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=said):
        found((X, Y), attacks)


def test_progress_says_what_each_attack_left(capsys: pytest.CaptureFixture[str]) -> None:
    result = found((X, Y), (sp.FGSM(), sp.PGD(steps=2)), progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(":")[0] for line in lines] == [
        "clean accuracy",
        "robust accuracy after FGSM()",
        "robust accuracy after PGD(steps=2)",
    ]
    assert lines[-1].endswith(f"{100 * result.robust_accuracy:.2f} %")
    found((X, Y))
    assert capsys.readouterr().err == ""
