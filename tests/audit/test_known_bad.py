"""Each known-bad model is flagged by its check, and the undefended control by none."""

from typing import Any

import pytest

import saddlepoint as sp
from saddlepoint.audit.checks import CHECKS
from saddlepoint.audit.probing import rivals
from saddlepoint.core.errors import Invalid
from saddlepoint.models.known_bad import KNOWN_BAD
from tests.audit import nets
from tests.audit.conftest import Subject

FLAGS = {
    "Loud": {"gradients": "fail", "unbounded attack": "fail"},
    "Quantized": {"gradients": "fail", "unbounded attack": "fail"},
    "Noisy": {"repeatability": "warn", "unstable predictions": "warn"},
    "Training": {"training mode": "fail", "batch independence": "fail", "model unchanged": "fail"},
    "Softmax": {"outputs": "fail"},
    "Clipped": {"black box against gradients": "flag", "transfer against gradients": "fail"},
    "FirstQuery": {"repeatability": "warn"},
    "Remembering": {"gradients": "fail"},
}
PLAIN = (sp.PGD(),)


def subject(name: str) -> tuple[Subject, float]:
    """The model, and the radius it is audited with."""
    if name == "Clipped":
        return nets.clipped(), nets.EPS
    s = nets.natural()
    return Subject(KNOWN_BAD[name](s.model), s.x, s.y), 0.1


def verdicts(s: Subject, threat: Any, attacks: Any, force: bool = False) -> dict[str, str]:  # noqa: ANN401
    result = sp.audit(s.model, (s.x, s.y), threat, attacks, force=force)
    return {f.check: f.verdict for f in result.findings}


def check(name: str, attacks: Any, flags: dict[str, str]) -> None:  # noqa: ANN401
    s, eps = subject(name)
    found = verdicts(s, sp.Linf(eps), attacks, force=name == "Softmax")
    for key, verdict in flags.items():
        assert found[key] in (("warn", "fail") if verdict == "flag" else (verdict,)), key


def test_every_known_bad_model_is_tried() -> None:
    assert set(FLAGS) == set(KNOWN_BAD)


@pytest.mark.parametrize("name", FLAGS)
def test_flagged_after_plain_pgd(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "QUERIES", 200)  # the search of scores is the longest probe
    check(name, PLAIN, FLAGS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", FLAGS)
def test_flagged_after_the_default_attacks(name: str) -> None:
    # The cascade gets past the stem's dead gradients: a surrogate then finds nothing that it left.
    flags = {k: v for k, v in FLAGS[name].items() if not k.startswith("transfer")}
    check(name, None, flags)


def test_probabilities_stop_an_audit_unless_forced() -> None:
    s, eps = subject("Softmax")
    with pytest.raises(Invalid, match="logits, not probabilities"):
        sp.audit(s.model, (s.x, s.y), sp.Linf(eps), PLAIN)


@pytest.mark.parametrize("eps", [0.05, 0.2])
def test_control_is_flagged_by_none(eps: float) -> None:
    found = verdicts(nets.natural(), sp.Linf(eps), PLAIN)
    assert len(found) == len(CHECKS)
    assert found.pop("survivors' audit") == "inconclusive"
    assert set(found.values()) == {"ok"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "threat",
    [sp.Linf(0.05), sp.Linf(0.1), sp.Linf(0.2), sp.L2(0.5), sp.Quantize(sp.Linf(16 / 255))],
)
def test_control_is_flagged_by_none_after_the_default_attacks(threat: object) -> None:
    assert set(verdicts(nets.natural(), threat, None).values()) <= {"ok", "inconclusive"}
