"""The verb ``query``: what it refuses before a single query is paid for."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from saddlepoint.cli.main import app

from .kit import written
from .server import running


@pytest.mark.parametrize(
    ("option", "value", "said"), [("--n", "99999", "at most"), ("--n", "0", "at least 1")]
)
def test_numbers_that_cannot_be_are_refused_unpaid(
    tmp_path: Path, option: str, value: str, said: str
) -> None:
    with running() as server:
        endpoint = written(tmp_path, url=server.url)
        found = CliRunner().invoke(app, ["query", str(endpoint), option, value])
        assert found.exit_code == 2
        assert said in found.output
        assert not server.seen
