"""scikit-learn's classifiers, ONNX Runtime sessions and functions of arrays as models."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron
from sklearn.neighbors import NearestCentroid
from sklearn.svm import SVC
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.models import Arrays, Estimator, SessionScores, as_model, load_model
from saddlepoint.models.loaded import Loaded

RNG = np.random.default_rng(0)
CENTRES = np.array([[0.2, 0.2, 0.5, 0.5], [0.8, 0.2, 0.5, 0.5], [0.2, 0.8, 0.5, 0.5]])
LABELS = np.arange(60) % 3
POINTS = (CENTRES[LABELS] + RNG.normal(0, 0.05, (60, 4))).clip(0, 1)
X = torch.from_numpy(POINTS).float().reshape(60, 1, 2, 2)
Y = torch.from_numpy(LABELS)


@pytest.mark.parametrize(
    ("fitted", "access"),
    [
        (LogisticRegression(), "scores"),
        (SVC(), "scores"),
        (Perceptron(), "scores"),
        (RandomForestClassifier(5, random_state=0), "scores"),
        (NearestCentroid(), "labels"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_classifier_answers_as_it_predicts(fitted: Any, access: str) -> None:  # noqa: ANN401
    fitted.fit(POINTS, LABELS)
    if isinstance(fitted, NearestCentroid):
        fitted = type("Plain", (), {"predict": fitted.predict, "fit": 0, "classes_": [0, 1, 2]})()
    model = as_model(fitted)
    assert isinstance(model, Estimator)
    assert model.access == access
    scores = model(X)
    assert scores.shape == (60, 3)
    assert scores.dtype == torch.float32
    assert np.array_equal(
        scores.argmax(1).numpy(), fitted.predict(X.double().reshape(60, 4).numpy())
    )


def test_probabilities_come_as_logarithms_and_keep_margins() -> None:
    fitted = LogisticRegression(C=1e6).fit(POINTS, LABELS)
    scores = Estimator(fitted)(X).double()
    expected = np.log(fitted.predict_proba(X.double().reshape(60, 4).numpy()).clip(1e-12))
    assert np.abs(scores.numpy() - expected).max() < 1e-4


def test_two_classes_and_absent_classes() -> None:
    two = SVC().fit(POINTS[LABELS < 2], LABELS[LABELS < 2])
    assert Estimator(two)(X[Y < 2]).argmax(1).equal(Y[Y < 2])
    gap = LogisticRegression().fit(POINTS[LABELS != 1], LABELS[LABELS != 1])
    scores = Estimator(gap)(X)
    assert scores.shape == (60, 3)
    assert (scores[:, 1] < scores[:, [0, 2]].amin(1)).all()


def test_the_hash_knows_one_classifier_from_another() -> None:
    one, other = (LogisticRegression(C=c).fit(POINTS, LABELS) for c in (1.0, 0.1))
    again = LogisticRegression(C=1.0).fit(POINTS, LABELS)
    assert Estimator(one).sha256 == Estimator(again).sha256 != Estimator(other).sha256


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        (LogisticRegression(), Invalid, "fit it first"),
        (LinearRegression().fit(POINTS, LABELS), Invalid, "regressor"),
        (LogisticRegression().fit(POINTS, np.array(list("abc"))[LABELS]), Invalid, "class indices"),
        (LogisticRegression, Invalid, "pass an instance"),
        (3, Invalid, "scikit-learn"),
        ("net.onnx", Invalid, r"load_model\('net.onnx'\).model"),
        (Path("net.pt"), Invalid, r"load_model\('net.pt'\).model"),
        ({"weight": torch.zeros(1)}, Invalid, "load_state_dict"),
        (Loaded(torch.nn.Identity(), "a", "b", "gradients", ""), Invalid, "pass its .model"),
    ],
)
def test_what_is_no_model_is_refused(model: Any, error: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(error, match=said):
        as_model(model)


def test_inputs_of_another_size_are_named() -> None:
    model = Estimator(LogisticRegression().fit(POINTS, LABELS))
    with pytest.raises(Unsupported, match="fitted on 4 features; these inputs have 9 numbers"):
        model(torch.zeros(1, 3, 3))


def test_an_audit_takes_a_classifier_by_what_it_grants() -> None:
    fitted = LogisticRegression().fit(POINTS, LABELS)
    result = sp.audit(fitted, (X, Y), sp.Linf(0.4), max_queries=60, figures=0, probes=0)
    assert result.document["plan"]["access"] == "scores"
    assert result.document["model_sha256"] == Estimator(fitted).sha256
    assert result.robust_accuracy < 0.5
    with pytest.raises(Invalid, match="this model gives scores and no more"):
        sp.audit(fitted, (X, Y), sp.Linf(0.4), access="gradients")


def test_functions_of_arrays() -> None:
    weight = RNG.normal(size=(4, 3))
    model = Arrays(lambda x: x.reshape(len(x), -1) @ weight)
    assert torch.allclose(model(X), X.flatten(1) @ torch.from_numpy(weight).float(), atol=1e-5)
    sure = Arrays(lambda x: np.tile([[1.0, 0.0]], (len(x), 1)), probabilities=True)
    assert sure(X)[0, 1] < -20
    with pytest.raises(Invalid, match="callable"):
        Arrays(LogisticRegression)


def _session(path: Path, nodes: list[Any], outputs: list[Any]) -> Path:
    import onnx
    from onnx import TensorProto, helper

    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])]
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    ids = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=ids, ir_version=8), path)
    return path


def _classifier(tmp_path: Path, zipped: bool) -> tuple[Path, LogisticRegression]:
    """Write a logistic regression as a converter of scikit-learn does: a label and a table."""
    from onnx import TensorProto, helper

    fitted = LogisticRegression().fit(POINTS, LABELS)
    node = helper.make_node(
        "LinearClassifier",
        ["x"],
        ["label", "raw" if zipped else "probabilities"],
        domain="ai.onnx.ml",
        coefficients=fitted.coef_.astype(np.float32).ravel().tolist(),
        intercepts=fitted.intercept_.astype(np.float32).tolist(),
        classlabels_ints=[0, 1, 2],
        post_transform="SOFTMAX",
    )
    label = helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])
    if not zipped:
        table = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 3])
        return _session(tmp_path / "m.onnx", [node], [label, table]), fitted
    zip_map = helper.make_node(
        "ZipMap", ["raw"], ["output_probability"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]
    )
    value = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    maps = helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.INT64, value))
    found = helper.make_value_info("output_probability", maps)
    return _session(tmp_path / "m.onnx", [node, zip_map], [label, found]), fitted


@pytest.mark.parametrize("zipped", [False, True])
def test_sessions_with_a_label_beside_their_scores(tmp_path: Path, zipped: bool) -> None:
    import onnxruntime

    path, fitted = _classifier(tmp_path, zipped)
    model = as_model(onnxruntime.InferenceSession(path))
    assert isinstance(model, SessionScores)
    assert (model(X).double() - Estimator(fitted)(X).double()).abs().max() < 1e-3
    loaded = load_model(path, shape=(1, 2, 2))
    assert (loaded.access, loaded.classes, loaded.shape) == ("scores", 3, (1, 2, 2))
    assert "label beside" in loaded.note
    assert torch.equal(loaded.model(X), model(X))


def test_sessions_that_return_labels_only(tmp_path: Path) -> None:
    import onnxruntime

    path, fitted = _classifier(tmp_path, zipped=False)
    session = onnxruntime.InferenceSession(path)
    model = SessionScores(session, output="label", classes=3)
    assert model.access == "labels"
    assert np.array_equal(model(X).argmax(1).numpy(), fitted.predict(POINTS.astype(np.float32)))
    with pytest.raises(Invalid, match="number of classes"):
        SessionScores(session, output="label")
    with pytest.raises(Unsupported, match="none of them"):
        SessionScores(session, output="nothing")


FACTORY = """
from sklearn.linear_model import LogisticRegression
import numpy as np

def model():
    return LogisticRegression().fit(np.eye(4)[:3], [0, 1, 2])

fitted = model()
"""


@pytest.mark.parametrize("name", ["model", "fitted"])
def test_a_module_may_hold_or_make_a_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "forest_for_test.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    loaded = load_model(f"forest_for_test:{name}")
    assert loaded.access == "scores"
    assert len(loaded.sha256) == 64
    assert loaded.model(torch.eye(4)[:3]).argmax(1).tolist() == [0, 1, 2]


def test_modules_and_functions_stay_themselves() -> None:
    net = nn.Linear(2, 2)

    def ask(x: Tensor) -> Tensor:
        return x

    assert as_model(net) is net
    assert as_model(ask) is ask


class Canned:
    """A session that gives one answer, whatever it is asked."""

    def __init__(self, kind: str, answer: Any) -> None:  # noqa: ANN401
        self.kind, self.answer = kind, answer

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="x", type="tensor(float)", shape=[None, 2])]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="y", type=self.kind)]

    def run(self, names: list[str], feed: Any) -> list[Any]:  # noqa: ANN401
        return [self.answer]


def test_maps_say_which_class_a_score_is_of() -> None:
    """A class that was absent in training has no entry, and the others keep their numbers."""
    answer = [{3: 0.5, 0: 0.25, 1: 0.25}, {0: 0.5, 1: 0.25, 3: 0.25}]
    scores = SessionScores(Canned("seq(map(int64,tensor(float)))", answer))(torch.zeros(2, 2))
    assert scores.shape == (2, 4)
    assert scores.argmax(1).tolist() == [3, 0]
    assert scores.argmin(1).tolist() == [2, 2]


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_refused(label: int) -> None:
    """An outlier's -1 is not the last class."""
    model = SessionScores(Canned("tensor(int64)", np.array([label])), classes=3)
    with pytest.raises(Invalid, match=rf"<class {label}>: must be a class index in 0 … 2"):
        model(torch.zeros(1, 2))
