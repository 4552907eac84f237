"""For trainings in Lightning: audit the model every few epochs, and log what withstood."""

import functools
import importlib
import inspect
import re
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self, SupportsIndex

from saddlepoint.audit import Audit, audit
from saddlepoint.audit.logged import headline
from saddlepoint.audit.samples import as_samples
from saddlepoint.core.errors import Invalid, Missing, Unsupported, closest
from saddlepoint.core.threat import ThreatModel

__all__ = ["AuditEvery"]

_PACKAGES = ("lightning.pytorch", "pytorch_lightning")
# Their modules hold a part of the weights each, so that no process can ask the model by itself.
_SHARDED = ("FSDPStrategy", "DeepSpeedStrategy", "ModelParallelStrategy")
# Lightning gives a callback these methods of the module that it trains.
_BOUND = ("log", "log_dict")


class AuditEvery:
    """A Lightning callback that audits the module after every so many epochs.

    epochs: how many. data, threat, options: as for ``audit``, which is run quickly (``effort=
    "quick"``, no figures, no probes) and even at chance (``force=True``), unless the options say
    otherwise. ``robust_accuracy`` and its interval, ``robust_accuracy_low`` and ``_high``, and
    ``clean_accuracy`` are logged through the module's ``log``, after ``prefix``: they reach every
    logger of the trainer, and callbacks that monitor a number by name. out: a folder for a run of
    each audit, ``epoch-5`` and so on. ``last`` is the last audit.

    The module is asked in evaluation mode and in float32 as its ``forward`` maps inputs to scores;
    modes, gradients and the random state are put back as they were. Of several processes the first
    audits, the others wait; all log the same. It works with ``lightning`` and
    ``pytorch_lightning``, whichever is there: an instance is a callback of the one imported.

    Raises ``Invalid`` for what cannot be, before the first epoch where it can be known, ``Missing``
    without Lightning, ``Unsupported`` where processes hold parts of the weights.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: ANN401
        """Make an instance of this class and of the callback of the Lightning that is there."""
        made: Self = object.__new__(_joined(cls))
        return made

    def __init__(
        self,
        epochs: int,
        data: Any,  # noqa: ANN401 - whatever ``audit`` takes
        threat: Any,  # noqa: ANN401
        *,
        prefix: str = "",
        out: str | Path | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
            raise Invalid("epochs", epochs, "a whole number of at least 1")
        self.epochs, self.data, self.threat = epochs, data, threat
        self.prefix, self.out = prefix, None if out is None else Path(out)
        usual = {} if "attacks" in options else {"effort": "quick"}
        self.options = {**usual, "figures": 0, "probes": 0, "force": True, **options}
        self.last: Audit | None = None

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        """Be rebuilt from the class that has a name, without what holds a module."""
        named = vars(type(self)).get("_named", type(self))
        kept = {name: value for name, value in self.__dict__.items() if name not in _BOUND}
        return _blank, (named,), {**kept, "last": None}

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401
        """Refuse what would end the training at its first audit."""
        strategy = type(trainer.strategy).__name__
        if strategy in _SHARDED:
            raise Unsupported(f"{strategy} gives each process a part of the weights: audit later")
        as_samples(self.data)  # refuses what is none; a loader is not read yet
        if not isinstance(self.threat, ThreatModel) or isinstance(self.threat, type):
            named = getattr(self.threat, "__name__", self.threat)
            raise Invalid("threat", named, "a threat model, such as Linf(eps=8 / 255)")
        known = set(inspect.signature(audit).parameters) - {"model", "data", "threat", "out"}
        for name in self.options.keys() - known:
            raise Invalid("option", name, "one that audit takes", closest(name, known))
        most = trainer.max_epochs
        if most is not None and 0 <= most < self.epochs:
            said = f"AuditEvery({self.epochs}, …) never audits: the training has {most} epochs"
            warnings.warn(said, stacklevel=2)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401
        """Refuse a folder with audits of another training; what is done is known only now."""
        if self.out is None or not trainer.is_global_zero:
            return
        done = trainer.current_epoch
        found = [p for p in self.out.glob("epoch-*") if _number(p) > done]
        if found:
            allowed = f"a folder without audits of epochs after the {done} that are done"
            raise Invalid("out", str(self.out), allowed, f"there is {min(found, key=_number).name}")

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401
        """Audit and log, if it is time."""
        epoch = trainer.current_epoch + 1
        if epoch % self.epochs:
            return
        said: dict[str, float] | BaseException = {}
        if trainer.is_global_zero:
            said = self._audited(pl_module, epoch)
        said = trainer.strategy.broadcast(said, src=0)  # failures too, or the others wait for ever
        if isinstance(said, BaseException):
            raise said
        named = {self.prefix + name: value for name, value in said.items()}
        pl_module.log_dict(named, on_step=False, on_epoch=True, rank_zero_only=False)

    def _audited(self, module: Any, epoch: int) -> dict[str, float] | BaseException:  # noqa: ANN401
        folder = None if self.out is None else self.out / f"epoch-{epoch}"
        try:
            self.last = audit(module, self.data, self.threat, out=folder, **self.options)
        except Exception as error:  # noqa: BLE001 - raised by the caller, in every process
            return error
        return headline(self.last)


def _number(path: Path) -> int:
    return int(re.sub(r"\D", "", path.name) or 0)


def _package() -> Any:  # noqa: ANN401 - a module
    """The Lightning that is imported already, or else one that is installed."""
    for name in _PACKAGES:
        if name in sys.modules:
            return sys.modules[name]
    for name in _PACKAGES:
        if find_spec(name.split(".")[0]):
            return importlib.import_module(name)
    raise Missing("lightning", None, "pip install lightning")


def _joined(cls: type) -> type:
    base = _package().Callback
    return cls if issubclass(cls, base) else _subclass(cls, base)


@functools.cache
def _subclass(cls: type, base: type) -> type:
    own = {"__doc__": cls.__doc__, "__module__": cls.__module__, "_named": cls}
    return type(cls.__name__, (cls, base), own)


def _blank(cls: type[AuditEvery]) -> AuditEvery:
    return cls.__new__(cls)
