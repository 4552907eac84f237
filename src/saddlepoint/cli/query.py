"""The verb ``query``: try a service on a few samples before paying for an audit."""

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.table import Table
from rich.text import Text
from torch import Tensor

from saddlepoint.cli.console import OUT
from saddlepoint.cli.options import DataOption, SplitOption
from saddlepoint.core.errors import Invalid
from saddlepoint.core.whole import require_whole
from saddlepoint.data import load_data

__all__ = ["query_command"]

_SHOWN = 3  # best classes of each sample


def query_command(
    endpoint: Annotated[
        Path, typer.Argument(metavar="ENDPOINT.toml", help="What describes the service.")
    ],
    data: DataOption = "digits",
    split: SplitOption = "test",
    n: Annotated[int, typer.Option("--n", help="Samples to ask about now.")] = 3,
    samples: Annotated[int, typer.Option("--samples", help="Samples of the audit to price.")] = 100,
    max_queries: Annotated[
        int, typer.Option("--max-queries", help="Its limit of queries per sample.")
    ] = 1000,
) -> None:
    """Ask a model behind HTTP about a few samples, and say what an audit may cost.

    Prints the answers, how long they took, what was paid, and the most that an audit of --samples
    with --max-queries can send.
    """
    from saddlepoint.models.service import open_service
    from saddlepoint.models.service.estimate import estimate

    for name, value in (("n", n), ("samples", samples), ("max-queries", max_queries)):
        require_whole(name, value)
    half = load_data(data or "digits").split(split or "test")
    if n > len(half):
        raise Invalid("n", n, f"at most {len(half)}, the number of samples there are")
    service = open_service(endpoint)
    x, y = half.batch(torch.arange(n))
    scores = service(x)
    described = service.endpoint
    chances = described.answer.are in ("probabilities", "log-probabilities")
    OUT.print(_table(described.names, scores.exp() if chances else scores, y))
    for line in estimate(described, service.usage(), samples, max_queries):
        OUT.print(Text(line))


def _table(names: tuple[str, ...] | None, scores: Tensor, y: Tensor) -> Table:
    """Return label and best classes of each sample."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("sample", "label", "answer", "scores"):
        table.add_column(name)

    def called(k: int) -> str:
        return str(k) if names is None else names[k]

    for i, row in enumerate(scores):
        best = row.argsort(descending=True, stable=True)[:_SHOWN].tolist()
        said = ", ".join(f"{called(k)}: {float(row[k]):.4g}" for k in best)
        label = int(y[i])
        known = called(label) if label < len(row) else str(label)
        table.add_row(str(i), Text(known), Text(called(best[0])), Text(said))
    return table
