"""Int8 activations with one scale a token in place of one for the whole batch.

onnxruntime's dynamic quantisation takes one scale over everything in the batch, so that what a text
scores depends on its neighbours. One scale a token does not, and is closer to fp32 too.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.onnx_ml_pb2 import GraphProto, NodeProto

_MICROSOFT = "com.microsoft"
_ZERO, _ONE, _SMALLEST, _STEPS = "row_zero_point", "row_one", "row_smallest", "row_steps"


def scale_by_token(path: Path) -> int:
    """Rewrite the graph at `path` in place; returns how many quantisations were replaced.

    Each `DynamicQuantizeLinear` of x becomes round(x / s) with s = max|x| / 127 over a token's own
    numbers, and each product that reads it is multiplied by s afterwards.
    """
    model = onnx.load(str(path))
    graph = model.graph
    dynamic = [node for node in graph.node if node.op_type == "DynamicQuantizeLinear"]
    for number, node in enumerate(dynamic):
        _replace(graph, node, f"row{number}")
    if dynamic:
        graph.initializer.extend([
            numpy_helper.from_array(np.array(128, np.uint8), _ZERO),
            numpy_helper.from_array(np.array(1.0, np.float32), _ONE),
            numpy_helper.from_array(np.array(1e-8, np.float32), _SMALLEST),
            numpy_helper.from_array(np.array(127.0, np.float32), _STEPS),
        ])  # fmt: skip
        if all(opset.domain != _MICROSOFT for opset in model.opset_import):
            model.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))
        _sort(graph)
        onnx.save(model, str(path))
    return len(dynamic)


def _replace(graph: GraphProto, node: NodeProto, name: str) -> None:
    x = node.input[0]
    quantised, scale, _ = node.output
    steps = [
        helper.make_node("ReduceMax", [f"{name}_abs"], [f"{name}_max"], f"{name}_max", axes=[-1], keepdims=1),
        helper.make_node("Max", [f"{name}_max", _SMALLEST], [f"{name}_top"], f"{name}_top"),
        helper.make_node("Div", [f"{name}_top", _STEPS], [f"{name}_scale"], f"{name}_scale"),
        helper.make_node("Div", [x, f"{name}_scale"], [f"{name}_unit"], f"{name}_unit"),
        helper.make_node("QuantizeLinear", [f"{name}_unit", _ONE, _ZERO], [quantised], f"{name}_quantise"),
    ]
    graph.node.extend([helper.make_node("Abs", [x], [f"{name}_abs"], f"{name}_abs"), *steps])
    for product in [n for n in graph.node if n.op_type == "MatMulInteger" and n.input[0] == quantised]:
        _scale_product(graph, product, scale, f"{name}_scale")
    graph.node.remove(node)


def _scale_product(graph: GraphProto, product: NodeProto, scale: str, row_scale: str) -> None:
    """MatMulInteger, Cast, Mul(scales) become one fused product and one Mul by the token's scale."""
    cast = _only_reader(graph, product.output[0])
    times = _only_reader(graph, cast.output[0])
    scales = next(n for n in graph.node if n.output[0] in times.input and n.output[0] != cast.output[0])
    weight_scale = next(name for name in scales.input if name != scale)
    out, plain = times.output[0], f"{times.output[0]}_unscaled"
    inputs = [product.input[0], product.input[1], _ONE, weight_scale, _ZERO, product.input[3]]
    graph.node.extend([
        helper.make_node("MatMulIntegerToFloat", inputs, [plain], f"{product.name}_float", domain=_MICROSOFT),
        helper.make_node("Mul", [plain, row_scale], [out], f"{product.name}_by_token"),
    ])  # fmt: skip
    for node in (product, cast, times, scales):
        graph.node.remove(node)


def _only_reader(graph: GraphProto, name: str) -> NodeProto:
    (reader,) = (node for node in graph.node if name in node.input)
    return reader


def _sort(graph: GraphProto) -> None:
    """Nodes in an order in which each is made before it is read."""
    made = {i.name for i in graph.initializer} | {i.name for i in graph.input} | {""}
    left, ordered = list(graph.node), []
    while left:
        ready = [node for node in left if all(name in made for name in node.input)]
        if not ready:
            raise ValueError("the graph has a circle")
        for node in ready:
            made.update(node.output)
        ordered += ready
        left = [node for node in left if not any(node is r for r in ready)]
    del graph.node[:]
    graph.node.extend(ordered)
