"""Options of ``audit`` and ``attack`` alone."""

from pathlib import Path
from typing import Annotated

import typer

from saddlepoint.cli.complete import either

__all__ = [
    "AccessOption",
    "BaselineOption",
    "EffortOption",
    "FailOnOption",
    "FailUnderCertifiedOption",
    "FailUnderOption",
    "FiguresOption",
    "ForceOption",
    "LevelOption",
    "PassesOption",
    "PerceptualArchOption",
    "PerceptualOption",
    "QuantizeOption",
    "QueriesOption",
    "SuiteOption",
    "SurrogateArchOption",
    "SurrogateOption",
    "SurvivorsOption",
    "UnderOption",
    "VerifyOption",
    "VerifySecondsOption",
    "VerifySubproblemsOption",
    "WarmOption",
]

AccessOption = Annotated[
    str | None,
    typer.Option(
        "--access",
        help="What may be asked: gradients, scores, labels or none.",
        autocompletion=either("gradients", "scores", "labels", "none"),
    ),
]
SuiteOption = Annotated[
    str | None,
    typer.Option(
        "--suite",
        help="cascade (default), or autoattack: the standard suite in order.",
        autocompletion=either("cascade", "autoattack"),
    ),
]
EffortOption = Annotated[
    str | None,
    typer.Option(
        "--effort",
        help="Of the cascade: quick (80 passes a sample), standard (300), thorough (2000).",
        autocompletion=either("quick", "standard", "thorough"),
    ),
]
PassesOption = Annotated[
    float | None,
    typer.Option("--max-passes", help="Forward and backward passes, on average over all samples."),
]
QueriesOption = Annotated[
    int | None,
    typer.Option("--max-queries", help="Questions about one sample over the whole audit, at most."),
]
SurvivorsOption = Annotated[
    int | None,
    typer.Option("--survivors", help="How many survivors meet the standard suite, on top of that."),
]
QuantizeOption = Annotated[
    str | None, typer.Option("--quantize", help="uint8: only inputs that an 8-bit image can hold.")
]
FiguresOption = Annotated[
    int | None, typer.Option("--figures", help="Samples behind the report's curves (64); 0: none.")
]
ForceOption = Annotated[
    bool | None,
    typer.Option("--force", help="Go on although clean accuracy is at chance, or with softmax."),
]

UnderOption = Annotated[
    str | None,
    typer.Option(
        "--under",
        help="Random transformations between input and model, in order: "
        '"Rotate(30) >> Noise(0.05)", "Render(\'cube\')"; a witness has to work under most draws.',
    ),
]
LevelOption = Annotated[
    float | None,
    typer.Option(
        "--level",
        help="With --under: the success rate over fresh draws that a witness has to exceed, by the "
        "lower end of a 95 % interval (0.5).",
    ),
]
FailUnderOption = Annotated[
    str | None,
    typer.Option(
        "--fail-under",
        help="Exit 1 when the upper bound of robust accuracy, over all samples, is below this "
        "share, such as 0.80.",
    ),
]
FailUnderCertifiedOption = Annotated[
    str | None,
    typer.Option(
        "--fail-under-certified",
        help="Exit 1 when a smaller share of all samples than this is proved robust.",
    ),
]
FailOnOption = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        help="warn or fail: exit 1 when a health check is that bad or worse.",
        autocompletion=either("warn", "fail"),
    ),
]
BaselineOption = Annotated[
    Path | None,
    typer.Option(
        "--baseline",
        help="An earlier run on the same samples; exit 1 when more are newly broken than newly "
        "safe with p < 0.05 (exact McNemar test), or could be, were undecided samples broken.",
    ),
]
PerceptualOption = Annotated[
    str | None,
    typer.Option(
        "--perceptual",
        help="A network (folder or file): the report gives its distance to every witness (LPIPS).",
    ),
]
PerceptualArchOption = Annotated[
    str | None,
    typer.Option(
        "--perceptual-arch",
        help="Its architecture, where the file does not say: as --arch, or vgg16 or alexnet.",
    ),
]
VerifyOption = Annotated[
    bool | None,
    typer.Option("--verify", help="Then prove what survived robust, within 300 CPU seconds."),
]
VerifySecondsOption = Annotated[
    float | None,
    typer.Option("--verify-seconds", help="The same within so many CPU seconds, over all samples."),
]
VerifySubproblemsOption = Annotated[
    int | None,
    typer.Option(
        "--verify-subproblems",
        help="Subproblems for each sample, which makes verdicts independent of the machine; "
        "without --verify-seconds there is no limit of time.",
    ),
]
SurrogateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--surrogate",
        help="A model of which all may be asked, to make inputs on: a file or folder, or an "
        "architecture that is trained on the train split first, such as conv-small or "
        "robust:conv-small; repeat for several.",
    ),
]
SurrogateArchOption = Annotated[
    str | None,
    typer.Option("--surrogate-arch", help="Architecture of surrogates whose file does not say."),
]
WarmOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--warm",
        help="Folder of a finished run on the same samples: its witnesses are tried first; repeat "
        "for several.",
    ),
]
