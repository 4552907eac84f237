"""House rules that linters do not know."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src/saddlepoint"
FILES = sorted(SRC.rglob("*.py"))
HEAVY = (
    "matplotlib",
    "jinja2",
    "lightning_fabric",
    "onnx",
    "onnxruntime",
    "sklearn",
    "scipy",
    "PIL",
    "kornia",
    "httpx",
    "jmespath",
    "pydantic",
)


def _names(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
    return found


def test_files_are_small_rooms() -> None:
    long = [p.name for p in FILES if len(p.read_text().splitlines()) > 300]
    assert not long


def test_functions_are_short() -> None:
    long = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and _body_lines(node) > 40:
                long.append(f"{path.name} {node.name}: {_body_lines(node)} lines")
    assert not long


def _body_lines(node: ast.FunctionDef) -> int:
    """Lines of statements: a signature of twenty options is a table, not complexity."""
    first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
    return (node.end_lineno or 0) - first.lineno + 1


def test_public_names_are_declared() -> None:
    silent = [p for p in FILES if "__all__" not in p.read_text() and p.name != "__init__.py"]
    assert not silent


def test_attacks_know_neither_layers_nor_sets() -> None:
    for path in (SRC / "attacks").glob("*.py"):
        assert not [n for n in _names(path) if n.startswith(("torch.nn", "saddlepoint.threats"))]


@pytest.mark.parametrize("folder", sorted(p.name for p in SRC.iterdir() if p.is_dir()))
def test_nothing_can_unpickle_or_evaluate(folder: str) -> None:
    for path in (SRC / folder).rglob("*.py"):
        _check_safe(path)


def _check_safe(path: Path) -> None:
    unsafe = ("pickle", "dill", "marshal", "shelve", "joblib")
    # The error's name is needed to catch it; the module's functions are not.
    allowed = ("pickle.UnpicklingError",)
    named = [n for n in _names(path) if n.split(".")[0] in unsafe and n not in allowed]
    assert not [n for n in named if n != "pickle" or "import pickle" in path.read_text()]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec", "compile")


def test_import_stays_light() -> None:
    code = f"import sys, saddlepoint; print([m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_what_is_listed_as_slow_exists() -> None:
    """tests/slow.txt names tests by file, function and parameters; scripts/slowest.py writes it."""
    names = (Path(__file__).parent / "slow.txt").read_text().splitlines()
    assert names == sorted(set(names))
    for name in names:
        path, function = name.split("::")
        assert f"def {function.split('[')[0]}(" in (Path(__file__).parents[1] / path).read_text(), (
            name
        )


def test_every_known_wrong_variant_can_be_planted() -> None:
    listed = tomllib.loads((SRC.parents[1] / "scripts" / "mutants.toml").read_text())["mutant"]
    names = [m["name"] for m in listed]
    assert len(names) == len(set(names))
    lost = [m["name"] for m in listed if (SRC / m["file"]).read_text().count(m["old"]) != 1]
    assert not lost


def test_every_page_has_its_place_in_the_documentation() -> None:
    root = Path(__file__).parents[1]
    listed = set(re.findall(r"[\w/-]+\.md", (root / "mkdocs.yml").read_text()))
    pages = {str(p.relative_to(root / "docs")) for p in (root / "docs").rglob("*.md")}
    assert pages <= listed
