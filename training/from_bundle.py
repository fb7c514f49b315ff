"""A bundle's int8 graph back into trainable weights: fine-tune what was shipped, without its torch files.

Weights are int8 with one scale a channel (word embeddings: one a word), everything else is kept as
floats, so reading them back loses nothing that the bundle still had. Each weight is found by the
module that its node is named for: identical tensors are stored once, under any one's name.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from training.model import N_SENTIMENTS, VocModel
from voc.classify.bundle import Bundle, find_live_bundle, load_bundle
from voc.classify.engine import Engine
from voc.classify.windows import make_windows
from voc.errors import BundleError

ARCHITECTURE = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "hidden_act",
)  # fmt: skip
# int8 activations leave 0.999 of the embedding's direction; weights of one layer exchanged, or a wrong
# number of heads, leave 0.95 or less (measured on voc-small).
MIN_COSINE = 0.98
MAX_MEAN_DIFFERENCE = 0.03  # of probabilities
_CHECK_TEXTS = (
    "The parcel arrived two days late and the box was torn.",
    "Thank you, the new screen works perfectly.",
    "I was charged twice for one subscription and nobody answers my messages.",
    "Where do I find the form for a change of address?",
    "Your colleague was kind, but the app still closes whenever I open the camera.",
    "If this is not settled by Friday I will cancel and talk to a lawyer.",
)


def architecture_of(config: Any) -> dict[str, Any]:
    """What is needed to build the same empty encoder again, from a Hugging Face configuration."""
    return {name: getattr(config, name) for name in ARCHITECTURE}


def empty_encoder(architecture: dict[str, Any]) -> Any:
    """A BERT-shaped encoder with weights still to be filled in, dropout off."""
    config = BertConfig(**architecture, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    config._attn_implementation = "eager"  # as load_encoder: the exported graph's form
    return BertModel(config, add_pooling_layer=False)


def find_bundle(where: str) -> Path:
    """A bundle's folder, or the live one where `where` ends in LIVE (`models/LIVE`)."""
    path = Path(where).expanduser()
    return find_live_bundle(path.parent) if path.name == "LIVE" else path


def read_model(folder: Path, *, frozen: int = 0) -> tuple[VocModel, Tokenizer, Bundle]:
    """The bundle's weights as a trainable model, checked against its graph on a few texts.

    Raises
    ------
    BundleError
        The graph is not of the form `training.export` writes, or the model read back disagrees with it.
    """
    bundle = load_bundle(folder)
    tensors = _tensors(onnx.load(str(folder / "model.onnx")).graph)
    architecture = bundle.manifest.get("architecture") or _inferred(tensors, folder)
    if frozen > architecture["num_hidden_layers"]:
        raise BundleError(
            f"{folder}: {architecture['num_hidden_layers']} layers, {frozen} cannot be frozen; lower 'frozen'"
        )
    model = VocModel(empty_encoder(architecture), frozen=frozen)
    wanted = model.state_dict()
    missing = [
        name for name, value in wanted.items()
        if name not in tensors or tensors[name].shape != tuple(value.shape)
    ]  # fmt: skip
    if missing:
        raise BundleError(
            f"{folder}: model.onnx lacks {len(missing)} weights ({missing[0]}, ...); "
            "only a bundle of training.export can be trained on"
        )
    # A copy: onnx hands out read-only views.
    model.load_state_dict({name: torch.tensor(tensors[name]) for name in wanted})
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    cosine, difference = compare_with_graph(model, folder / "model.onnx", tokenizer)
    if cosine < MIN_COSINE or difference > MAX_MEAN_DIFFERENCE:
        raise BundleError(
            f"{folder}: the weights read back disagree with the graph (cosine of embeddings {cosine:.3f}, at "
            f"least {MIN_COSINE}; probabilities {difference:.3f} apart, at most {MAX_MEAN_DIFFERENCE}); "
            "the graph is of another form"
        )
    return model, tokenizer, bundle


def _tensors(graph: Any) -> dict[str, Any]:
    """Every parameter of `VocModel` that the graph holds, by its name in the state dict."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    found: dict[str, Any] = {}
    if "words_int8" in stored:  # one scale a word: see training.export.shrink_embedding
        table, scale = (numpy_helper.to_array(stored[name]) for name in ("words_int8", "words_scale"))
        found["encoder.embeddings.word_embeddings.weight"] = table.astype(np.float32) * scale
    for node in graph.node:
        held = [name for name in node.input if name in stored and not name.startswith("words_")]
        # A node fused from several keeps the last one's output, whose name has the module's path.
        for path in (node.name, node.output[0]):
            module = _module(path)
            for key, name, transposed in _parameters(node, module, held):
                if name is not None and key not in found:
                    value = _floats(stored, name)
                    found[key] = np.ascontiguousarray(value.T) if transposed else value
    return found


def _module(path: str) -> str:
    """/model/layer.0/attention/self/query/MatMul_quant -> encoder.encoder.layer.0.attention.self.query"""
    parts = [p for p in path.split("/") if p][1:-1]
    if parts and parts[0].startswith("layer."):
        parts = ["encoder", "encoder", *parts]
    elif parts and parts[0] == "embeddings":
        parts = ["encoder", *parts]
    return ".".join(parts)


def _parameters(node: Any, module: str, held: list[str]) -> list[tuple[str, str | None, bool]]:
    """(parameter, stored tensor, is it transposed) of one node."""

    def at(i: int) -> str | None:
        return node.input[i] if len(node.input) > i and node.input[i] in held else None

    kind = node.op_type
    if kind in ("MatMul", "MatMulInteger", "MatMulIntegerToFloat"):
        return [(f"{module}.weight", at(1), True)]
    if kind == "Gemm":
        turned = any(a.name == "transB" and a.i for a in node.attribute)
        return [(f"{module}.weight", at(1), not turned), (f"{module}.bias", at(2), False)]
    if kind == "Gather":
        return [(f"{module}.weight", at(0), False)]
    if kind == "LayerNormalization":
        return [(f"{module}.weight", at(1), False), (f"{module}.bias", at(2), False)]
    if kind == "SkipLayerNormalization":
        dense = module.removesuffix("LayerNorm") + "dense"
        return [
            (f"{module}.weight", at(2), False), (f"{module}.bias", at(3), False),
            (f"{dense}.bias", at(4), False),
        ]  # fmt: skip
    if kind == "BiasGelu":
        return [(module.replace("intermediate_act_fn", "dense") + ".bias", at(1), False)]
    if kind == "Add":
        return [(f"{module}.bias", at(0) or at(1), False)]
    return []


def _floats(stored: dict[str, Any], name: str) -> Any:
    value = numpy_helper.to_array(stored[name])
    if not name.endswith("_quantized"):
        return value
    base = name.removesuffix("_quantized")
    scale = numpy_helper.to_array(stored[f"{base}_scale"])
    zero = numpy_helper.to_array(stored[f"{base}_zero_point"])
    return (value.astype(np.float32) - zero.astype(np.float32)) * scale


def _inferred(tensors: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The architecture of a bundle that does not state it: sizes from the weights, heads by the rule."""
    try:
        words = tensors["encoder.embeddings.word_embeddings.weight"]
        wide = tensors["encoder.encoder.layer.0.intermediate.dense.weight"]
        layers = {k.split(".")[3] for k in tensors if k.startswith("encoder.encoder.layer.")}
        hidden = int(words.shape[1])
        return {
            "vocab_size": int(words.shape[0]), "hidden_size": hidden, "num_hidden_layers": len(layers),
            # MiniLM, gte-small and their like have 12 heads of 32 where BERT has heads of 64;
            # the check against the graph tells a wrong guess.
            "num_attention_heads": 12 if hidden in (384, 768) else max(1, hidden // 64),
            "intermediate_size": int(wide.shape[0]),
            "max_position_embeddings": int(tensors["encoder.embeddings.position_embeddings.weight"].shape[0]),
            "type_vocab_size": int(tensors["encoder.embeddings.token_type_embeddings.weight"].shape[0]),
            "layer_norm_eps": 1e-12, "hidden_act": "gelu",
        }  # fmt: skip
    except KeyError as error:
        raise BundleError(
            f"{folder}: model.onnx lacks {error}; only a bundle of training.export can be trained on"
        ) from error


def compare_with_graph(model: VocModel, graph: Path, tokenizer: Tokenizer) -> tuple[float, float]:
    """Lowest cosine of embeddings and mean difference of probabilities, torch against the graph."""
    windows = make_windows(tokenizer, _CHECK_TEXTS, max_tokens=64, overlap=8)
    got = Engine(graph, threads=1).run(windows)
    z = np.concatenate([got.sentiment, got.binary], axis=1)
    model.eval()
    with torch.inference_mode():
        rows = [torch.tensor([w.ids]) for w in windows]
        want = [model(ids, torch.ones_like(ids)) for ids in rows]
    embedding = np.stack([out.embedding[0].numpy() for out in want])
    logits = np.stack([out.logits[0].numpy() for out in want])
    cosine = (embedding * got.embedding).sum(1)
    return float(cosine.min()), float(np.abs(_proba(z) - _proba(logits)).mean())


def _proba(z: Any) -> Any:
    e = np.exp(z[:, :N_SENTIMENTS] - z[:, :N_SENTIMENTS].max(1, keepdims=True))
    return np.concatenate([e / e.sum(1, keepdims=True), 1 / (1 + np.exp(-z[:, N_SENTIMENTS:]))], axis=1)
