"""Every recipe can be read, and takes its first steps, on stand-in data of the right shape."""

from pathlib import Path

import numpy as np
import pytest

from saddlepoint.cli.options import settle
from saddlepoint.cli.recipes import find_recipe
from saddlepoint.cli.train import TrainSettings, run_train
from saddlepoint.core.errors import Invalid
from tests.cli.kit import run, said

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "src/saddlepoint/recipes").glob("*.toml"))
SHAPES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
LARGE = "cifar10"


def stand_in(path: Path, shape: tuple[int, ...]) -> Path:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (24, *shape), dtype=np.uint8)
    y = np.arange(24) % 10
    np.savez(path, x_train=x, y_train=y, x_test=x[:8], y_test=y[:8])
    return path


def test_all_recipes_are_here() -> None:
    names = {p.stem for p in RECIPES}
    assert names == {
        "digits", "mnist-linf", "mnist-linf-fast", "mnist-l2", "mnist-smooth",
        "mnist-certified-0.3", "mnist-certified-0.1", "cifar10-certified-2", "cifar10-certified-8",
        "cifar10-linf", "cifar10-linf-fast", "cifar10-linf-fast-gpu",
        "mnist-rotate", "mnist-linf-0.1",
    }  # fmt: skip


@pytest.mark.parametrize(
    "recipe",
    [pytest.param(p, marks=pytest.mark.slow if p.name.startswith(LARGE) else ()) for p in RECIPES],
    ids=[p.stem for p in RECIPES],
)
def test_a_recipe_takes_its_first_steps(recipe: Path, tmp_path: Path) -> None:
    meant = settle(TrainSettings, recipe, {})
    few = {
        "data": str(stand_in(tmp_path / "few.npz", SHAPES[meant.data])),
        "epochs": 1,
        "batch_size": 8,
        "held_out": 8,
        "check_n": 4,
        "guard": False,
        "device": "cpu",
        "out": tmp_path / "out",
    }
    trained = run_train(settle(TrainSettings, recipe, few), progress=False)
    assert len(trained.history) == 1
    assert (trained.folder / "model.safetensors").exists()
    assert str(meant.out) == f"runs/{recipe.stem}"


def test_a_clone_shows_the_recipes_that_ship() -> None:
    shown = {p.name: p.read_text() for p in (ROOT / "recipes").glob("*.toml")}
    assert shown == {p.name: p.read_text() for p in RECIPES}


def test_a_recipe_is_found_by_name_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("digits", "digits.toml", "recipes/digits.toml"):
        assert find_recipe(Path(name)) == ROOT / "src/saddlepoint/recipes/digits.toml"
    (tmp_path / "digits").write_text("mine")
    assert find_recipe(Path("digits")) == Path("digits")  # what is there comes first
    assert find_recipe(Path("elsewhere/digits.toml")) == Path("elsewhere/digits.toml")
    with pytest.raises(Invalid, match="did you mean mnist-linf"):
        find_recipe(Path("mnist-lin"))


def test_recipes_are_listed_and_printed() -> None:
    listed = run("recipes").output
    assert all(p.stem in listed for p in RECIPES)
    assert (
        run("recipes", "digits").output
        == RECIPES[[p.stem for p in RECIPES].index("digits")].read_text()
    )
    assert "did you mean digits?" in said(run("recipes", "digit", code=2))


@pytest.mark.slow
def test_train_takes_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    few = ("--epochs", 1, "--check-n", 4, "--held-out", 50, "--audit-n", 0, "--device", "cpu")
    run("train", "digits", *few)
    assert (tmp_path / "runs/digits/model.safetensors").exists()


def test_a_folder_or_a_file_of_a_recipes_name_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    shipped = ROOT / "src/saddlepoint/recipes/digits.toml"
    found = find_recipe(Path("digits"))
    assert found is not None
    assert found.samefile(shipped)
    assert "digits" in run("recipes", "digits").output
    (tmp_path / "mnist-l2").write_text("a plan of one's own")
    assert find_recipe(Path("mnist-l2")) == Path("mnist-l2")
    assert "one's own" not in run("recipes", "mnist-l2").output
