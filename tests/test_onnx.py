"""ONNX: what is written computes the same in another runtime, for any batch, and comes back as the same model."""

import re
import sys

import numpy as np
import pytest
from cases import CASES
from cases.trees import flat, mapped

import nn

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

# Rows that are not written, by the beginnings of their names, and why.
LEFT_OUT = {
    "AdaptiveMaxPool1d": "ONNX's pooling gives indices for windows of one size alone",
    "AdaptiveMaxPool2d-indices": "likewise",
    "AdaptiveMaxPool3d": "likewise",
    "BatchNorm1d-untracked": "takes the statistics of each batch, which ONNX leaves to training",
    "ConvTranspose2d-sized": "takes its size as an input",
    "CrossMapLRN2d": "counts the first channel into every sum, and has no operator",
    "FractionalMaxPool": "draws its windows",
    "LPPool1d-ceil": "opset 17 has no ceil_mode for it",
    "LPPool2d-ceil": "likewise",
    "LPPool2d-smallest": "takes whole powers alone",
    "LPPool3d-largest": "likewise",
    "LPPool3d-settings": "as both before",
    "LocalResponseNorm-even": "ONNX's windows of even size begin elsewhere",
    "LogSoftmax-0d": "as Softmax",
    "MaxUnpool": "places entries by indices within a plane, and ONNX's within the batch",
    "Softmax-0d": "ONNX's Softmax takes no single numbers",
}
# What the other runtime refuses, although the file is right.
NOT_RUN = ("ConvTranspose2d-dilation",)  # an output_padding of the dilation's size or more
LAYERS = [case for case in CASES if not isinstance(case.build(), nn.Loss)]
WRITTEN = [case for case in LAYERS if not case.name.startswith((*LEFT_OUT, *NOT_RUN))]


def prepared(case):
    """Return a row's module in float32 and evaluation mode, with its inputs as numbers of that kind."""
    inputs = case.draw(np.random.default_rng(0))
    return case.build().float().eval(), mapped(lambda x: x.astype(np.float32) if x.dtype.kind == "f" else x, inputs)


def run(path, inputs):
    """Return what the other runtime computes, a list."""
    session = runtime.InferenceSession(str(path))
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, map(np.asarray, flat(inputs).values()), strict=True)))


def longer(inputs):
    """Return inputs of one more sample."""
    return mapped(lambda x: np.concatenate([x, x[:1]]), inputs)


@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: case.name)
def test_a_row_computes_the_same_elsewhere(case, tmp_path):
    module, inputs = prepared(case)
    nn.export_onnx(module, inputs, tmp_path / "model.onnx")
    for batch in (inputs, longer(inputs)) if case.batched else (inputs,):
        expected = flat(module(*batch)).values()
        for found, wanted in zip(run(tmp_path / "model.onnx", batch), expected, strict=True):
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_what_is_left_out_is_refused_by_name(tmp_path):
    for case in LAYERS:
        if case.name.startswith(tuple(LEFT_OUT)):
            module, inputs = prepared(case)
            with pytest.raises((TypeError, ValueError), match=rf"export_onnx .* {type(module).__name__}"):
                nn.export_onnx(module, inputs, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


# ---- and back


def single(case):
    return len(flat(case.draw(np.random.default_rng(0)))) == 1


@pytest.mark.parametrize("case", [case for case in WRITTEN if single(case)], ids=lambda case: case.name)
def test_a_row_comes_back(case, tmp_path):
    module, inputs = prepared(case)
    path = tmp_path / "model.onnx"
    nn.export_onnx(module, inputs, path)
    try:
        back = nn.import_onnx(path).eval()
    except ValueError as error:  # of several operators, none of them a module's; of a sample alone; of other edges
        operators = [node.op_type for node in onnx.load(str(path)).graph.node if node.op_type != "Identity"]
        assert len(operators) > 1 or not case.batched or operators[0] in ("Gather", "Einsum") or "pads" in str(error)
        assert re.search(r"model\.onnx.*(no module here|\(at '/)", str(error))
        return
    for found, wanted in zip(flat(back(*inputs)).values(), flat(module(*inputs)).values(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)
    if case.batched:
        assert nn.gradcheck(back.double(), *mapped(np.float64, inputs))


def test_weights_that_are_shared_stay_shared(tmp_path):
    layer = nn.Linear(3, 3, generator=0)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    path = tmp_path / "model.onnx"
    nn.export_onnx(model, np.zeros((1, 3)), path)
    assert len(onnx.load(str(path)).graph.initializer) == 2
    back = nn.import_onnx(path)
    assert len(list(back.parameters())) == 2
    x = np.ones((4, 3), np.float32)
    np.testing.assert_allclose(back(x), model(x), rtol=1e-6)


def test_paths_that_part_and_meet_come_back(tmp_path):
    inner = nn.Residual(nn.Sequential(nn.Linear(3, 3), nn.ReLU()))
    fork = nn.ConcatTable(nn.Identity(), nn.Linear(3, 3), nn.Sequential(inner, nn.Tanh()))
    model = nn.Sequential(nn.Linear(2, 3), fork, nn.JoinTable(-1), nn.Linear(9, 2))
    path = tmp_path / "model.onnx"
    nn.export_onnx(model, np.zeros((1, 2)), path)
    x = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    back = nn.import_onnx(path)
    np.testing.assert_allclose(back(x), model(x), rtol=1e-6)
    assert nn.gradcheck(back.double(), x)


class Twice(nn.Module):
    def forward(self, x):
        x = self.cast(x)
        self.save_for_backward(output=x)
        return 2 * x

    def backward(self, grad_output):
        self.saved()
        return 2 * self.upstream(grad_output)


class Wide(nn.Linear):
    """Has the forward of Linear, and so its operator."""


def test_what_cannot_be_written_is_refused_and_nothing_is_left(tmp_path):
    path = tmp_path / "model.onnx"
    x = np.zeros((1, 2))
    with pytest.raises(TypeError, match=r"export_onnx has no operators for 1\.0 \(Twice\(\)\)"):
        nn.export_onnx(nn.Sequential(nn.Linear(2, 2), nn.Sequential(Twice())), x, path)
    with pytest.raises(TypeError, match="export_onnx expects a Module, got dict"):
        nn.export_onnx({}, x, path)
    with pytest.raises(ValueError, match=r"Linear\(2, 1\) expects input of shape"):
        nn.export_onnx(nn.Linear(2, 1), np.zeros((1, 3)), path)
    assert not list(tmp_path.iterdir())
    nn.export_onnx(Wide(2, 1), x, path)
    assert onnx.load(str(path)).graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


def test_training_mode_and_the_model_itself_are_left_alone(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    nn.export_onnx(model, np.zeros((1, 2)), tmp_path / "model.onnx")
    assert model.training and model[1].training
    x = np.ones((3, 2), np.float32)
    np.testing.assert_allclose(run(tmp_path / "model.onnx", (x,))[0], model.eval()(x), rtol=1e-6)


def file_of(path, nodes, inputs=("x",), outputs=("y",), constants=()):
    """Write a graph by hand, with values of two numbers a sample."""
    described = [
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 2]) for name in names]
        for names in (inputs, outputs)
    ]
    tensors = [onnx.numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in constants]
    graph = onnx.helper.make_graph(nodes, "by hand", *described, tensors)
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)]), str(path))
    return path


def node(operator, inputs, outputs="y", **attributes):
    return onnx.helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


@pytest.mark.parametrize(
    ("nodes", "inputs", "words"),
    [
        ([node("Erf", "x", "a"), node("Sin", "a")], "x", r"no module here computes: Erf \(at 'a'\), Sin \(at 'y'\)"),
        ([node("Add", "x z")], "x z", r"has 2 inputs \(x, z\), expected one"),
        ([node("Add", "x c")], "x", "Add .at 'y'.: it adds a constant"),
        ([node("Mul", "x c")], "x", "Mul .at 'y'.: it multiplies by a constant"),
        ([node("Gemm", "x W", alpha=2.0)], "x", "alpha is 2.0, expected 1.0"),
        ([node("Gemm", "c W", "d"), node("Gemm", "x d")], "x", None),
        ([node("Gemm", "x x")], "x", "its input 1 is computed, expected a constant"),
    ],
)
def test_what_no_module_computes_is_refused_by_name(nodes, inputs, words, tmp_path):
    path = file_of(tmp_path / "a.onnx", nodes, inputs.split(), constants=[("c", np.ones((2, 2))), ("W", np.eye(2))])
    if words is None:  # what is computed of constants alone is one
        assert nn.import_onnx(path)([[1.0, 2.0]]).tolist() == [[3.0, 3.0]]
        return
    with pytest.raises(ValueError, match=rf"a\.onnx.* {words}"):
        nn.import_onnx(path)


def test_what_is_no_such_file_is_refused(tmp_path):
    path = tmp_path / "a.onnx"
    nn.export_onnx(nn.Linear(2, 1), np.zeros((1, 2)), path)
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="not a readable ONNX file"):
            nn.import_onnx(path)
    with pytest.raises(FileNotFoundError):
        nn.import_onnx(tmp_path / "none.onnx")


def test_without_the_package_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match="export_onnx needs the onnx package: pip install onnx"):
        nn.export_onnx(nn.Linear(2, 1), np.zeros((1, 2)), tmp_path / "a.onnx")
