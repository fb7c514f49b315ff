"""One scale a token: what a text scores does not depend on its neighbours, and stays near fp32."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from training.rowwise import scale_by_token

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(16, 8)).astype(np.float32)


def _quantised(folder):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "tokens", 16])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "tokens", 8])
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], "product")],
        "one", [x], [y], [numpy_helper.from_array(WEIGHTS, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(folder / "fp32.onnx"))
    quantize_dynamic(
        str(folder / "fp32.onnx"), str(folder / "int8.onnx"), per_channel=True, weight_type=QuantType.QInt8
    )
    return folder / "int8.onnx"


def _run(path, x):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": x})[0]


def test_a_row_scores_the_same_alone_and_beside_a_much_larger_one(tmp_path):
    path = _quantised(tmp_path)
    small = RNG.normal(size=(1, 3, 16)).astype(np.float32)
    both = np.concatenate([small, 1000 * small])
    before = np.abs(_run(path, both)[:1] - _run(path, small)).max()

    assert scale_by_token(path) == 1
    onnx.checker.check_model(str(path))

    assert before > 0.1  # what it is for
    assert (_run(path, both)[:1] == _run(path, small)).all()
    assert np.abs(_run(path, small) - small @ WEIGHTS).max() < 0.2


def test_a_token_of_nothing_but_zeros_stays_zero(tmp_path):
    path = _quantised(tmp_path)
    scale_by_token(path)

    assert (_run(path, np.zeros((1, 2, 16), np.float32)) == 0).all()


def test_a_graph_without_dynamic_quantisation_is_left_alone(tmp_path):
    path = _quantised(tmp_path)
    scale_by_token(path)
    before = path.read_bytes()

    assert scale_by_token(path) == 0
    assert path.read_bytes() == before
