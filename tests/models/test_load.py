"""Loading: every form a model comes in, and every file that must not be believed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.models import ARCHITECTURES, Loaded, build, load_model

SHARED = Path(__file__).parents[3] / "shared"
SHAPE = (1, 8, 8)


def same(loaded: Loaded, original: nn.Module) -> bool:
    x = torch.rand(3, *SHAPE)
    assert isinstance(loaded.model, nn.Module)
    assert not loaded.model.training
    return torch.equal(loaded.model(x), original(x))


def test_safetensors_with_an_architecture(weights: Path, original: nn.Module) -> None:
    state = torch.random.get_rng_state()
    loaded = load_model(weights, "conv-small", SHAPE, 5)
    assert torch.equal(state, torch.random.get_rng_state())
    assert same(loaded, original)
    assert (loaded.arch, loaded.name, loaded.access) == ("conv-small", "net", "gradients")
    assert (loaded.shape, loaded.classes, loaded.note) == (SHAPE, 5, "")
    assert len(loaded.sha256) == 64


def test_the_number_of_classes_is_read_off_the_weights(weights: Path) -> None:
    assert load_model(str(weights), "conv-small", SHAPE).classes == 5


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_width_and_normalisation_are_read_off_the_weights(arch: str, tmp_path: Path) -> None:
    size: dict[str, Any] = {"hidden": [4, 7]} if arch == "mlp" else {"width": 2}
    made = build(arch, (3, 8, 8), 4, {**size, "mean": [0.5, 0.4, 0.3], "std": [0.25] * 3}).eval()
    save_file(made.state_dict(), tmp_path / "a.safetensors")
    loaded = load_model(tmp_path / "a.safetensors", arch, (3, 8, 8), 4)
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(loaded.model(x), made(x))
    with pytest.raises(Invalid, match=f"a.safetensors fits {arch}"):
        load_model(tmp_path / "a.safetensors", shape=(3, 8, 8))


@pytest.mark.parametrize("holder", [None, "state_dict", "model", "model_state_dict", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module."])
def test_state_dicts_of_torch(
    tmp_path: Path, original: nn.Module, holder: str | None, prefix: str
) -> None:
    state = {prefix + k: v for k, v in original.state_dict().items()}
    content = state if holder is None else {holder: state, "epoch": 3, "best": [0.5]}
    torch.save(content, tmp_path / "net.pt")
    assert same(load_model(tmp_path / "net.pt", "conv-small", SHAPE, 5), original)


def test_half_precision_weights_become_single(tmp_path: Path, original: nn.Module) -> None:
    torch.save({k: v.half() for k, v in original.state_dict().items()}, tmp_path / "net.pth")
    loaded = load_model(tmp_path / "net.pth", "conv-small", SHAPE, 5)
    assert isinstance(loaded.model, nn.Module)
    assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}


def test_the_counter_of_batches_may_be_missing(tmp_path: Path) -> None:
    made = build("resnet9", (3, 8, 8), 4, {"width": 2})
    state = {k: v for k, v in made.state_dict().items() if "num_batches" not in k}
    save_file(state, tmp_path / "a.safetensors")
    assert load_model(tmp_path / "a.safetensors", "resnet9", (3, 8, 8)).classes == 4


def card(folder: Path, **changes: Any) -> Path:  # noqa: ANN401
    content = {"arch": "conv-small", "shape": list(SHAPE), "classes": 5, "options": {"width": 3}}
    (folder / "net.safetensors").rename(folder / "model.safetensors")
    (folder / "model.json").write_text(json.dumps({**content, **changes}))
    return folder


def test_a_folder(weights: Path, original: nn.Module) -> None:
    folder = card(weights.parent, trained="by hand")
    loaded = load_model(folder, shape=list(SHAPE), classes=5)
    assert same(loaded, original)
    assert (loaded.arch, loaded.shape, loaded.classes) == ("conv-small", SHAPE, 5)
    assert loaded.name == folder.name


def test_a_folder_for_other_data(weights: Path) -> None:
    folder = card(weights.parent)
    with pytest.raises(BadData, match=r"the model has shape \(1, 8, 8\), but the data has \(3, 32"):
        load_model(folder, shape=(3, 32, 32))
    with pytest.raises(BadData, match="the model has classes 5, but the data has 10"):
        load_model(folder, classes=10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"arch": "my_code:net"},
            r"names my_code:net, which is code: .*say so with --arch my_code",
        ),
        ({"arch": "conv-smal"}, "arch = 'conv-smal' is not known; did you mean conv-small"),
        ({"arch": 3}, "arch = 3: must be a string"),
        ({"shape": [1, -8, 8]}, r"shape = \[1, -8, 8\]: must be a list of 1 to 4 sizes"),
        ({"shape": [65536] * 4}, "must be a list of 1 to 4 sizes"),
        ({"shape": "1x8x8"}, "shape = '1x8x8'"),
        ({"classes": 1}, "classes = 1: must be a whole number, 2 or more"),
        ({"classes": True}, "classes = True"),
        ({"classes": "5"}, "classes = '5'"),
        ({"options": [3]}, r"options = \[3\]: must be an object"),
        ({"classes": 6}, r"7.weight is \(5, 100\) in the file, needs \(6, 100\)"),
        (
            {"options": {"width": 4}},
            r"0.weight is \(3, 1, 4, 4\) in the file, needs \(4, 1, 4, 4\)",
        ),
        ({"options": {"width": 65536}}, "needs (65536"),
    ],
)
def test_cards_that_cannot_be_followed(
    weights: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadData, match=message.replace("needs (65536", r"needs \(65536")):
        load_model(card(weights.parent, **changes))


def test_an_option_that_does_not_exist(weights: Path) -> None:
    with pytest.raises(Invalid, match="option = 'depth': must be an option of conv-small"):
        load_model(card(weights.parent, options={"depth": 3}))


def test_code_named_by_a_folder_runs_only_when_the_user_says_so(
    weights: Path, original: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = card(weights.parent, arch="named_by_a_file_for_test:net")
    (folder / "named_by_a_file_for_test.py").write_text(
        "import pathlib\n"
        "pathlib.Path('sprung').touch()\n"
        "from saddlepoint.models import conv_small\n"
        "def net(shape, classes): return conv_small(shape, classes, width=3)\n"
    )
    monkeypatch.chdir(folder)
    with pytest.raises(BadData, match="it is not imported on a file's word"):
        load_model(folder)
    assert not (folder / "sprung").exists()
    assert same(load_model(folder, arch="named_by_a_file_for_test:net"), original)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "must be an object"),
        ("{}", "lacks arch, shape, classes; it holds nothing"),
        (" " * (1 << 21), "larger than 1 MiB"),
    ],
)
def test_cards_that_are_damaged(weights: Path, content: str, message: str) -> None:
    folder = card(weights.parent)
    (folder / "model.json").write_text(content)
    with pytest.raises(BadData, match=message):
        load_model(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_folder_that_lacks_a_file(weights: Path, name: str) -> None:
    folder = card(weights.parent)
    (folder / name).unlink()
    with pytest.raises(BadData, match=f"no {name} in it"):
        load_model(folder)


def test_another_architecture_is_suggested_where_it_fits(weights: Path) -> None:
    with pytest.raises(BadData, match=r"does not fit mlp with inputs \(1, 8, 8\)") as caught:
        load_model(weights, "mlp", SHAPE, 5)
    assert "it fits --arch conv-small" in str(caught.value)
    assert "unexpected 0.bias, 0.weight, 2.bias, and 5 more" in str(caught.value)


def test_missing_keys_are_named(tmp_path: Path, original: nn.Module) -> None:
    state = original.state_dict()
    del state["7.bias"]
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(BadData, match=r"with inputs \(1, 8, 8\) and 5 classes: missing 7.bias$"):
        load_model(tmp_path / "a.safetensors", "conv-small", SHAPE, 5)


def test_the_wrong_input_shape(weights: Path) -> None:
    with pytest.raises(BadData, match=r"5.weight is \(100, 24\) in the file, needs \(100, 294\)"):
        load_model(weights, "conv-small")


def test_weights_without_an_architecture(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"arch = None: must be one of conv-small.*fits conv-small"):
        load_model(weights, shape=SHAPE)
    save_file({"w": torch.zeros(2)}, tmp_path / "b.safetensors")
    with pytest.raises(Invalid, match="it holds weights without architecture"):
        load_model(tmp_path / "b.safetensors")


def test_a_factory_of_ones_own_for_the_weights(tmp_path: Path) -> None:
    save_file(nn.Softmax(1).state_dict() | {"weight": torch.eye(3)}, tmp_path / "a.safetensors")
    with pytest.raises(BadData, match=r"does not fit torch.nn:Identity: unexpected weight"):
        load_model(tmp_path / "a.safetensors", "torch.nn:Identity")


def test_a_factory_alone() -> None:
    loaded = load_model("saddlepoint.models:mlp", shape=(4,), classes=3)
    assert loaded.model(torch.rand(2, 4)).shape == (2, 3)
    assert (loaded.shape, loaded.classes, len(loaded.sha256)) == ((4,), 3, 64)
    with pytest.raises(Invalid, match=r"arch = 'mlp': must be left out, as saddlepoint.models:mlp"):
        load_model("saddlepoint.models:mlp", arch="mlp")


def test_what_is_not_there(weights: Path) -> None:
    with pytest.raises(BadData, match=r"no such file or folder; in .*did you mean net.safetensors"):
        load_model(weights.with_name("nett.safetensors"))
    (weights.parent / "robust").mkdir()
    (weights.parent / "robust/model.json").touch()
    with pytest.raises(BadData, match=r"robsut: no such file or folder; in .*did you mean robust"):
        load_model(weights.with_name("robsut"))
    with pytest.raises(BadData, match=r"nowhere/a.pt: no such file or folder; a model is a \.safe"):
        load_model("/nowhere/a.pt")
    with pytest.raises(Invalid, match="resnet9 is an architecture: pass its weights, and --arch"):
        load_model("resnet9")


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "net.h5").write_bytes(b"hello")
    with pytest.raises(BadData, match=r"net.h5: not a model file; a model is a \.safetensors"):
        load_model(tmp_path / "net.h5", "mlp")


def accuracy(model: Any, x: Tensor, y: Tensor) -> float:  # noqa: ANN401
    with torch.no_grad():
        return float((model(x).argmax(1) == y).double().mean())


@pytest.mark.skipif(not (SHARED / "models").is_dir(), reason=f"{SHARED} is not here")
@pytest.mark.parametrize(("name", "published"), [("mnist-fgsm", 0.985), ("mnist-pgd", 0.99)])
def test_published_weights_reach_their_accuracy(name: str, published: float) -> None:
    with np.load(SHARED / "data" / "mnist.npz") as arrays:
        x = torch.from_numpy(arrays["x_test"][:1000, None]).float() / 255
        y = torch.from_numpy(arrays["y_test"][:1000].astype(np.int64))
    path = SHARED / "models" / f"{name}.safetensors"
    loaded = load_model(path, "conv-small", (1, 28, 28), 10)
    assert abs(accuracy(loaded.model, x, y) - published) < 0.006
    assert load_model(path, "conv-small").shape == (1, 28, 28)
