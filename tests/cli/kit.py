"""Run a command as a user does, and read what it said."""

import re

from typer.testing import CliRunner, Result

from saddlepoint.cli.main import app


def run(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(w) for w in words])
    assert result.exit_code == code, result.output + result.stderr
    return result


def said(result: Result) -> str:
    return re.sub(r"\s+", " ", result.output + result.stderr)
