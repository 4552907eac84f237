"""Pages that are made from the code (command line, schemas), and the gate of the reference."""

import json
import re
from pathlib import Path
from typing import Any

import typer
from docs_coverage import faults, shown
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.main import get_command

ROOT = Path(__file__).parents[1]
SCHEMAS = ("audit/audit.schema.json", "audit/compare.schema.json")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that no file in docs/ holds."""
    for name, content in (("reference/cli.md", command_line()), ("reference/files.md", schemas())):
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:  # noqa: ANN401 - mkdocs's own
    """Show the files that comments such as <!-- examples/net.py --> name."""
    return re.sub(r"^<!-- (examples/\S+) -->$", _source, markdown, flags=re.MULTILINE)


def _source(match: re.Match[str]) -> str:
    path = ROOT / match[1]
    language = {".py": "python", ".sh": "sh"}[path.suffix]
    return f'```{language} title="{match[1]}"\n{path.read_text()}```'


def on_page_content(html: str, page: Page, **_: Any) -> None:  # noqa: ANN401 - mkdocs's own
    """Refuse a page of the reference that leaves out what it is asked to show."""
    folder, _, name = page.file.src_uri.rpartition("/")
    asked = shown().get(name, []) if folder == "reference" else []
    there = set(re.findall(r'id="(saddlepoint[^"]*)"', html))
    if missing := [n for n in asked if n not in there]:
        raise PluginError(f"docs/reference/{name} shows nothing of {', '.join(missing)}")


def on_pre_build(**_: Any) -> None:  # noqa: ANN401
    """Refuse to build a reference in which a public name is missing or not explained."""
    if found := faults():
        raise PluginError("\n".join(["the reference is incomplete:", *found]))


def command_line() -> str:
    """One section per verb: what it does and its options."""
    from saddlepoint.cli.main import app

    group: Any = get_command(app)
    context = typer.Context(group, info_name="saddlepoint")
    parts = ["# Command line", ""]
    todo = [((name,), command) for name, command in group.commands.items()]
    while todo:
        names, command = todo.pop(0)
        inner = getattr(command, "commands", None)
        if inner:
            todo = [((*names, n), c) for n, c in inner.items()] + todo
        parts += [f"## saddlepoint {' '.join(names)}", "", _prose(command.help or ""), ""]
        parts += _options(command, context)
    return "\n".join(parts) + "\n"


def _prose(text: str) -> str:
    """Paragraphs of a help text; the example, if there is one, as code."""
    before, _, example = text.replace("\f", "").partition("Example:")
    code = ["", "```sh", " ".join(example.split()), "```"] if example.strip() else []
    return "\n".join([before.strip(), *code])


def _options(command: Any, context: Any) -> list[str]:  # noqa: ANN401 - click's own types
    rows = []
    for p in command.params:
        if getattr(p, "hidden", False) or p.name in ("help", None):
            continue
        name = (
            ", ".join(f"`{o}`" for o in p.opts)
            if p.param_type_name == "option"
            else f"`{p.name.upper()}`"
        )
        said = " ".join((getattr(p, "help", None) or "").split()).replace("|", "\\|")
        rows.append(f"| {name} | {said} |")
    return ["| option | |", "|---|---|", *rows, ""] if rows else []


def schemas() -> str:
    """The schemas of what a run writes."""
    parts = ["# Files", "", "What a run writes as JSON, by its schema.", ""]
    for name in SCHEMAS:
        schema = json.loads((ROOT / "src/saddlepoint" / name).read_text())
        parts += [f"## {Path(name).name.replace('.schema', '')}", ""]
        parts += [str(schema.get("description", "")), "", "```json"]
        parts += [json.dumps(schema, indent=1), "```", ""]
    return "\n".join(parts)
