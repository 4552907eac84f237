"""What is installed: the files of wheel and source distribution, and life without any extra."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOLDERS = ("benchmarks", "docs", "examples", "recipes", "requirements", "scripts", "src", "tests")
FILES = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "Makefile", "README.md")
MORE = (".pre-commit-config.yaml", "mkdocs.yml", "pyproject.toml")
BUILD = "import sys, setuptools.build_meta as b; print(getattr(b, 'build_' + sys.argv[1])('dist'))"


def built(kind: str, folder: Path) -> Path:
    command = [sys.executable, "-c", BUILD, kind]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return folder / "dist" / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: building leaves folders behind, and takes up what earlier builds left."""
    folder = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in (*FILES, *MORE):
        shutil.copy(ROOT / name, folder / name)
    return built("sdist", folder)


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (inner,) = folder.iterdir()
    return built("wheel", inner)


def present(folder: str) -> set[str]:
    """Files of a folder of this tree, as a distribution should name them."""
    found = (p.relative_to(ROOT) for p in (ROOT / folder).rglob("*") if p.is_file())
    return {str(p) for p in found if "__pycache__" not in p.parts and ".egg-info" not in str(p)}


@pytest.mark.slow
def test_the_source_distribution_holds_the_tree(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {n.partition("/")[2] for n in archive.getnames()}
    assert {name for folder in FOLDERS for name in present(folder)} <= names
    assert {*FILES, *MORE} <= names


@pytest.mark.slow
def test_a_wheel_made_of_it_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {n for n in archive.namelist() if ".dist-info/" not in n}
    assert names == {n.removeprefix("src/") for n in present("src")}
    assert {n.split("/")[0] for n in names} == {"saddlepoint"}


@pytest.mark.slow
def test_it_asks_for_the_listed_packages_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        head = archive.read(name).decode().partition("\n\n")[0]
    asked = [Requirement(r) for r in re.findall(r"^Requires-Dist: (.*)$", head, re.MULTILINE)]
    always = {str(r) for r in asked if r.marker is None}
    assert always == {str(Requirement(r)) for r in PROJECT["dependencies"]}
    for extra, packages in PROJECT["optional-dependencies"].items():
        given = {r.name for r in asked if r.marker and r.marker.evaluate({"extra": extra})}
        assert given == {Requirement(p).name for p in packages}


def test_no_extra_for_users_asks_for_torchvision() -> None:
    """It replaces torch where the two do not fit, and does not import beside the CPU build."""
    for extra in set(PROJECT["optional-dependencies"]) - {"dev", "docs"}:
        named = (Requirement(p).name for p in PROJECT["optional-dependencies"][extra])
        installed = {d.metadata["Name"] for d in metadata.distributions()}
        assert "torchvision" not in closure(n for n in named if n in installed)


def closure(names: Iterator[str]) -> set[str]:
    """Return the packages that these need, themselves included, with no extra of anything."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = canonicalize_name(todo.pop())
        if name in found:
            continue
        found.add(name)
        needs = map(Requirement, metadata.requires(name) or [])
        todo += [r.name for r in needs if not r.marker or r.marker.evaluate({"extra": ""})]
    return found


BARE = """
import importlib, json, pkgutil, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
import saddlepoint, torch
from saddlepoint.core.errors import Missing
assert saddlepoint.__file__.startswith(sys.argv[1])
for module in pkgutil.walk_packages(saddlepoint.__path__, "saddlepoint."):
    if module.name == "saddlepoint.__main__":
        continue
    try:
        importlib.import_module(module.name)
    except Missing:
        assert module.name == "saddlepoint.lightning"
from saddlepoint.cli.doctor import extras_of
from saddlepoint.train.loggers import check_logger
Path("net.onnx").write_bytes(b"")
Path("endpoint.toml").write_text("")
asked = {
    "onnx": lambda: saddlepoint.load_model("net.onnx"),
    "http": lambda: saddlepoint.load_model("endpoint.toml"),
    "environment": lambda: saddlepoint.Blur().start(torch.zeros(1, 3, 8, 8)),
    "track": lambda: check_logger("tensorboard"),
}
said = {}
for extra, ask in asked.items():
    try:
        ask()
    except ImportError as error:
        said[extra] = f"{type(error).__name__}: {error}"
print(json.dumps({"said": said, "lacking": [e for e, (lost, _) in extras_of().items() if lost]}))
"""


@pytest.mark.slow
def test_every_module_imports_with_the_runtime_packages_alone(wheel: Path, tmp_path: Path) -> None:
    """An environment of links to them: what else is installed here cannot be seen."""
    site = tmp_path / "site"
    site.mkdir()
    for name in closure(Requirement(r).name for r in PROJECT["dependencies"]):
        files = metadata.distribution(name).files or []
        for top in {f.parts[0] for f in files} - {"..", "__pycache__"}:
            place = Path(str(metadata.distribution(name).locate_file(top)))
            (site / top).symlink_to(place)
    shutil.unpack_archive(wheel, tmp_path / "wheel", "zip")
    command = [sys.executable, "-I", "-S", "-c", BARE, str(tmp_path / "wheel"), str(site)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    for extra in ("onnx", "http", "environment", "track"):
        words = result["said"].get(extra, "nothing")
        assert words.startswith("Missing: "), extra
        assert words.endswith(f"pip install 'saddlepoint[{extra}]'")
    assert set(result["lacking"]) == set(PROJECT["optional-dependencies"]) - {"dev"}
