"""ONNX files that are damaged, hostile, or not one input to one output."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from graphs import normal, save, single
from onnx import TensorProto, external_data_helper

from saddlepoint.core.errors import BadData, Missing, Unsupported
from saddlepoint.models import load_model
from saddlepoint.models.onnx.convert import convert
from saddlepoint.models.onnx.file import read_onnx
from tests.disguised import disguised


def ints(*values: int) -> Any:  # noqa: ANN401
    return np.array(values, dtype=np.int64)


def test_more_than_one_input_or_output(tmp_path: Path) -> None:
    from onnx import helper

    def info(name: str, kind: int = TensorProto.FLOAT) -> Any:  # noqa: ANN401
        return helper.make_tensor_value_info(name, kind, ["n", 3])

    def write(inputs: list[Any], outputs: list[Any], node: Any) -> Path:  # noqa: ANN401
        graph = helper.make_graph([node], "g", inputs, outputs)
        imports = [helper.make_opsetid("", 17)]
        onnx.save(
            helper.make_model(graph, opset_imports=imports, ir_version=8), tmp_path / "m.onnx"
        )
        return tmp_path / "m.onnx"

    add = helper.make_node("Add", ["x", "z"], ["y"])
    with pytest.raises(Unsupported, match=r"has 2 inputs \(x, z\): must have one"):
        load_model(write([info("x"), info("z")], [info("y")], add))
    two = helper.make_node("Split", ["x"], ["y", "z"], axis=0)
    with pytest.raises(Unsupported, match=r"has 2 outputs \(y, z\).*logits out only"):
        load_model(write([info("x")], [info("y"), info("z")], two))
    whole = helper.make_node("Neg", ["x"], ["y"])
    with pytest.raises(Unsupported, match=r"takes tensor\(int64\): must take floats"):
        load_model(write([info("x", 7)], [info("y", 7)], whole))
    label = helper.make_node("Cast", ["x"], ["y"], to=7)
    with pytest.raises(Unsupported, match=r"returns tensor\(int64\): must return scores"):
        load_model(write([info("x")], [info("y", 7)], label))


def test_other_vendors_operators(tmp_path: Path) -> None:
    path = single(tmp_path / "m.onnx", "Relu")
    model = onnx.load(path)
    model.graph.node[0].domain = "com.evil"
    model.opset_import.append(onnx.helper.make_opsetid("com.evil", 1))
    onnx.save(model, path)
    with pytest.raises(Unsupported, match=r"operator com\.evil\.Relu is of a domain"):
        load_model(path)


def external(tmp_path: Path, location: str) -> Path:
    path = single(tmp_path / "m.onnx", "MatMul", [normal(5, 2)], ("n", 5))
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    content = tensor.raw_data
    external_data_helper.set_external_data(tensor, location, offset=0, length=len(content))
    tensor.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    (tmp_path / "weights.bin").write_bytes(content)
    return path


def test_weights_beside_the_file_are_read(tmp_path: Path) -> None:
    loaded = load_model(external(tmp_path, "weights.bin"))
    x = torch.rand(2, 5)
    torch.testing.assert_close(loaded.model(x), x @ torch.from_numpy(normal(5, 2)))


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "link.bin", ""])
def test_weights_elsewhere_are_not_read(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(40))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(BadData, match=r"outside the model's folder: it was not read"):
        load_model(external(folder, location))


def test_weights_that_are_missing_or_short(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"kept in 'other.bin', which is not there"):
        load_model(external(tmp_path, "other.bin"))
    path = external(tmp_path, "weights.bin")
    (tmp_path / "weights.bin").write_bytes(b"short")
    with pytest.raises(BadData, match="damaged or not an ONNX model"):
        load_model(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x05pickle", bytes(100)])
def test_what_is_not_onnx(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(BadData, match=r"m\.onnx: damaged or not an ONNX model"):
        load_model(tmp_path / "m.onnx")


def test_an_input_that_claims_to_be_enormous(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"claims inputs of shape \(3, 1000000, 1000000\), too large"):
        load_model(single(tmp_path / "m.onnx", "Relu", shape=("n", 3, 10**6, 10**6)))


def test_a_truncated_model(tmp_path: Path) -> None:
    single(tmp_path / "net.onnx", "MatMul", [normal(6, 9)])
    content = (tmp_path / "net.onnx").read_bytes()
    for share in (0.1, 0.5, 0.9, 0.999):
        (tmp_path / "net.onnx").write_bytes(content[: int(share * len(content))])
        with pytest.raises(BadData, match="damaged or not an ONNX model"):
            load_model(tmp_path / "net.onnx")


@pytest.mark.parametrize(("module", "package"), [("onnx", "onnx"), ("onnxruntime", "onnxruntime")])
def test_without_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, package: str
) -> None:
    path = single(tmp_path / "m.onnx", "Relu")
    shutil.copy(path, tmp_path / "copy.onnx")
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(
        Missing, match=rf"{package} is not installed: pip install 'saddlepoint\[onn"
    ):
        load_model(path)


HOSTILE = "a'); import pathlib; pathlib.Path('sprung').touch() #"


def test_names_and_strings_in_a_file_never_become_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nodes: list[Any] = [
        ("Conv", ["x", HOSTILE + "\n"], HOSTILE, {}),
        ("Pad", [HOSTILE, "pads"], "p", {"mode": HOSTILE}),
        ("Relu", ["p"], "y", {}),
    ]
    held = {HOSTILE + "\n": normal(2, 3, 1, 1), "pads": ints(0, 0, 1, 1, 0, 0, 1, 1)}
    module = convert(read_onnx(save(tmp_path / "m.onnx", nodes, held, ("n", 3, 4, 4))))
    with pytest.raises(Unsupported, match="Pad with mode"):
        module(torch.rand(2, 3, 4, 4))
    nodes[0] = (*nodes[0][:3], {HOSTILE: 1})
    with pytest.raises(Unsupported, match="Conv with a'"):
        convert(read_onnx(save(tmp_path / "m.onnx", nodes, held, ("n", 3, 4, 4))))
    assert not (tmp_path / "sprung").exists()


def test_ctrl_c_leaves_no_model_without_gradients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(_: object) -> None:
        raise Unsupported("it cannot be converted") from disguised()

    monkeypatch.setattr("saddlepoint.models.onnx.load.convert", stopped)
    with pytest.raises(KeyboardInterrupt):
        load_model(single(tmp_path / "m.onnx", "Relu", []))
