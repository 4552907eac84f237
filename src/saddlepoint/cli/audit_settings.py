"""What ``audit`` and ``attack`` are told, and what it stands for."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, StrictFloat, StrictInt, StrictStr, field_validator

from saddlepoint.audit.borrowing import surrogate_of, to_train
from saddlepoint.audit.proving import Verification
from saddlepoint.audit.suites import Effort
from saddlepoint.audit.team import Team
from saddlepoint.cli.gates import Gates, Verdict
from saddlepoint.cli.options import LoggerName, SubjectSettings
from saddlepoint.cli.subject import pick_device
from saddlepoint.core.access import Access
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.surrogate import Surrogate
from saddlepoint.data import load_data
from saddlepoint.models.perceptual import Perceptual, load_perceptual
from saddlepoint.presets import parse_attack, parse_threat
from saddlepoint.threats import Quantize

__all__ = [
    "AuditSettings",
    "attacks_of",
    "gates_of",
    "perceptual_of",
    "surrogates_of",
    "threat_of",
    "verification_of",
]


class AuditSettings(SubjectSettings):
    """Everything that ``audit`` and ``attack`` take, with its default."""

    threat: str
    attack: tuple[str, ...] = ()
    suite: str | None = None
    effort: Effort = "standard"
    max_passes: float | None = None
    max_queries: StrictInt | None = None
    survivors: StrictInt | None = None
    batch_size: StrictInt | None = None
    out: Path = Path("run")
    access: Access | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    quantize: Literal["uint8"] | None = None
    figures: StrictInt = Field(64, ge=0)
    probes: StrictInt | None = Field(None, ge=0)
    eot: StrictInt | None = Field(None, ge=1)
    votes: StrictInt | None = Field(None, ge=1)
    under: str | None = None
    level: float | None = None
    target: StrictStr | StrictInt | None = None
    verify: bool = False
    verify_seconds: float | None = None
    verify_subproblems: StrictInt | None = None
    perceptual: str | None = None
    perceptual_arch: str | None = None
    surrogate: tuple[str, ...] = ()
    surrogate_arch: str | None = None
    warm: tuple[Path, ...] = ()
    logger: LoggerName | None = None
    force: bool = False
    fail_under: StrictFloat | StrictInt | StrictStr | None = None
    fail_under_certified: StrictFloat | StrictInt | StrictStr | None = None
    fail_on: Verdict | None = None
    baseline: Path | None = None

    @field_validator("attack", "surrogate", "warm", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str | Path) else value


def gates_of(settings: AuditSettings) -> Gates:
    """Return what the run has to hold."""
    return Gates.of(
        settings.fail_under,
        settings.fail_on,
        settings.baseline,
        settings.out,
        settings.fail_under_certified,
    )


def verification_of(settings: AuditSettings) -> Verification | None:
    """Without seconds, subproblems are the only limit."""
    seconds, most = settings.verify_seconds, settings.verify_subproblems
    if not settings.verify and seconds is None and most is None:
        return None
    if seconds is None and most is None:
        return Verification()
    return Verification(seconds=seconds, subproblems=most)


def perceptual_of(settings: AuditSettings) -> Perceptual | None:
    """Return the network that measures how far witnesses look."""
    if settings.perceptual is None:
        if settings.perceptual_arch is not None:
            hint = "it is the architecture of that network"
            raise Invalid("perceptual_arch", settings.perceptual_arch, "beside --perceptual", hint)
        return None
    return load_perceptual(settings.perceptual, arch=settings.perceptual_arch)


def threat_of(settings: AuditSettings) -> Any:  # noqa: ANN401 - a threat model
    """Return the set that the settings name."""
    threat: Any = parse_threat(settings.threat, own=True)
    if settings.quantize and not isinstance(threat, Quantize):
        return Quantize(threat, settings.quantize)
    return threat


def attacks_of(settings: AuditSettings) -> tuple[Any, ...]:
    """Return the attacks that the settings name, in order."""
    return tuple(parse_attack(text, own=True) for text in settings.attack)


def surrogates_of(settings: AuditSettings, team: Team | None) -> tuple[Surrogate, ...]:
    """Load the surrogates that the settings name, or train them into the run's folder."""
    if not settings.surrogate:
        if settings.surrogate_arch is not None:
            given = settings.surrogate_arch
            raise Invalid("surrogate_arch", given, "beside --surrogate", "it is its architecture")
        return ()
    if team is not None and team.size > 1 and any(map(to_train, settings.surrogate)):
        raise Unsupported("one process trains surrogates: train them first, and give their folders")
    place = (threat_of(settings), settings.out / "surrogates", str(pick_device(settings.device)))
    data = load_data(settings.data)
    return tuple(
        surrogate_of(spec, settings.surrogate_arch, data, *place) for spec in settings.surrogate
    )
