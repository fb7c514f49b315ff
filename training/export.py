"""Export a run to a bundle: ONNX, fused, int8, compared with the original on real texts.

    python -m training.export var/runs/base --name voc-small --version 1.0.0 --output models

Fails, leaving nothing behind, when the int8 graph differs from torch by more than the tolerance.
"""

import argparse
import json
import shutil
import sys
import tempfile
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from tokenizers import Tokenizer
from torch import Tensor, nn

from training import seen
from training.data import development_sets
from training.from_bundle import architecture_of, empty_encoder
from training.labels_in import read_labels
from training.model import N_SENTIMENTS, VocModel, load_encoder
from training.rowwise import scale_by_token
from training.settings import find_data_folder
from voc.classify.bundle import BINARY_LABELS, SCHEMA, file_digest
from voc.classify.calibration import Calibration
from voc.classify.engine import OUTPUTS, Engine
from voc.classify.windows import make_windows, pack_windows
from voc.errors import BundleError, VocError
from voc.taxonomy import SENTIMENTS, SIGNALS

MAX_TOKENS = 256
OVERLAP = 48
# Agreement of int8 with torch on real texts; measured 0.97 to 0.99 for encoders of this size.
MIN_ARGMAX_AGREEMENT = 0.96
MAX_MEAN_DIFFERENCE = 0.03  # of probabilities


class Graph(nn.Module):
    """The outputs of the model contract, in its order."""

    def __init__(self, model: VocModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        out = self.model(input_ids, attention_mask)
        z = out.logits
        return out.embedding, z[:, :N_SENTIMENTS], z[:, N_SENTIMENTS], z[:, N_SENTIMENTS + 1 :], out.evidence


def export_onnx(model: VocModel, path: Path) -> None:
    """Write the fp32 graph with dynamic batch and length."""
    ids = torch.tensor([[1, 4, 5, 2], [1, 6, 2, 0]])  # any tokens; small, for a small vocabulary
    axes = {0: "batch", 1: "tokens"}
    dynamic: dict[str, dict[int, str]] = {"input_ids": axes, "attention_mask": axes, "evidence": axes}
    dynamic |= {name: {0: "batch"} for name in OUTPUTS if name != "evidence"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Graph(model).eval(), (ids, (ids > 0).long()), str(path), dynamo=False,
            input_names=["input_ids", "attention_mask"], output_names=list(OUTPUTS),
            dynamic_axes=dynamic, opset_version=17,
        )  # fmt: skip


def quantise(source: Path, target: Path, *, n_heads: int, dim: int) -> None:
    """Fuse attention and layer norms, then int8 weights, one scale a channel."""
    options = FusionOptions("bert")
    options.enable_embed_layer_norm = False  # would bind the mask's form
    fused = optimize_model(
        str(source), "bert", num_heads=n_heads, hidden_size=dim, optimization_options=options
    )
    middle = source.with_name("fused.onnx")
    fused.save_model_to_file(str(middle))
    heads = [
        n.name for n in onnx.load(str(middle)).graph.node if "/pool/" in n.name or "to_embedding" in n.name
    ]
    shrink_embedding(middle)
    quantize_dynamic(
        str(middle), str(target), per_channel=True, weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul"],
        nodes_to_exclude=heads,  # a thousandth of the work, and what everything is read from
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )  # fmt: skip
    scale_by_token(target)
    onnx.checker.check_model(str(target))


def shrink_embedding(path: Path) -> None:
    """Keep the word embeddings as int8 with one scale a word, in place of one for the whole table.

    One scale for all loses the many small rows to the few large: it cost a hundredth of agreement.
    """
    model = onnx.load(str(path))
    graph = model.graph
    weights = next(i for i in graph.initializer if "word_embeddings" in i.name)
    gather = next(n for n in graph.node if n.op_type == "Gather" and n.input[0] == weights.name)
    table = numpy_helper.to_array(weights)
    scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-8).astype(np.float32) / 127
    graph.initializer.remove(weights)
    graph.initializer.extend([
        numpy_helper.from_array(np.round(table / scale).astype(np.int8), "words_int8"),
        numpy_helper.from_array(scale, "words_scale"),
    ])  # fmt: skip
    ids, out = gather.input[1], gather.output[0]
    place = list(graph.node).index(gather)
    graph.node.remove(gather)
    nodes = [
        helper.make_node("Gather", ["words_int8", ids], ["words_small"], "words_gather"),
        helper.make_node("Cast", ["words_small"], ["words_float"], "words_cast", to=onnx.TensorProto.FLOAT),
        helper.make_node("Gather", ["words_scale", ids], ["words_times"], "words_scale_gather"),
        helper.make_node("Mul", ["words_float", "words_times"], [out], "words_mul"),
    ]
    for offset, node in enumerate(nodes):
        graph.node.insert(place + offset, node)
    onnx.save(model, str(path))


def compare(model: VocModel, graph: Path, tokenizer: Tokenizer, texts: list[str]) -> dict[str, float]:
    """Agreement of the exported graph with torch on `texts`."""
    windows = make_windows(tokenizer, texts, max_tokens=MAX_TOKENS, overlap=OVERLAP)
    got = Engine(graph).run(windows)
    z = np.concatenate([got.sentiment, got.binary], axis=1)
    want = np.empty_like(z)
    embedding = np.empty_like(got.embedding)
    model.eval()
    with torch.inference_mode():
        for batch in pack_windows(windows, token_budget=2048):
            longest = max(len(windows[i].ids) for i in batch)
            ids = torch.tensor([windows[i].ids + [0] * (longest - len(windows[i].ids)) for i in batch])
            lengths = torch.tensor([len(windows[i].ids) for i in batch])
            out = model(ids, (torch.arange(longest) < lengths[:, None]).long())
            want[batch], embedding[batch] = out.logits.numpy(), out.embedding.numpy()
    p, q = _softmax(z[:, :N_SENTIMENTS]), _softmax(want[:, :N_SENTIMENTS])
    b, c = 1 / (1 + np.exp(-z[:, N_SENTIMENTS:])), 1 / (1 + np.exp(-want[:, N_SENTIMENTS:]))
    return {
        "n_texts": len(texts),
        "argmax_agreement": float((p.argmax(1) == q.argmax(1)).mean()),
        "flag_agreement": float(((b > 0.5) == (c > 0.5)).mean()),
        "mean_difference": float(np.abs(np.concatenate([p - q, b - c], axis=1)).mean()),
        "max_difference": float(np.abs(np.concatenate([p - q, b - c], axis=1)).max()),
        "mean_cosine": float((got.embedding * embedding).sum(1).mean()),
    }


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def export_bundle(
    run: Path, *, name: str, version: str, output: Path, base: str | None = None, licence: str | None = None
) -> Path:
    """Write `output/name/version`; calibration starts neutral (`training.calibrate` fits it).

    `base` and `licence` are for the card; without them, those of the bundle the run began with.

    Raises
    ------
    BundleError
        The folder exists, or int8 differs from torch beyond the tolerance.
    """
    target = output / name / version
    if target.exists():
        raise BundleError(f"{target} exists; give another --version")
    about = json.loads((run / "run.json").read_text())
    if about.get("architecture"):
        encoder = empty_encoder(about["architecture"])  # all its weights are in model.pt
    else:
        encoder = load_encoder(str(Path(about["settings"]["encoder"]).expanduser()))
    model = VocModel(encoder, frozen=about["settings"]["frozen"])
    model.load_state_dict(torch.load(run / "model.pt", weights_only=True))
    tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    with tempfile.TemporaryDirectory(dir=_made(output)) as temporary:
        part = Path(temporary)
        export_onnx(model, part / "fp32.onnx")
        config = encoder.config
        quantise(part / "fp32.onnx", part / "model.onnx", n_heads=config.num_attention_heads, dim=model.dim)
        texts = comparison_texts(about["settings"])
        agreement = compare(model, part / "model.onnx", tokenizer, texts)
        print(json.dumps(agreement), file=sys.stderr)
        if (
            agreement["argmax_agreement"] < MIN_ARGMAX_AGREEMENT
            or agreement["mean_difference"] > MAX_MEAN_DIFFERENCE
        ):
            raise BundleError(
                f"int8 differs from torch beyond the tolerance: {agreement}; nothing was exported"
            )
        tokenizer.save(str(part / "tokenizer.json"))
        origin = about.get("base") or {"model": "thenlper/gte-small", "licence": "MIT"}
        origin = {"model": base or origin["model"], "licence": licence or origin["licence"]}
        manifest = _manifest(name, version, model.dim, origin, about, agreement)
        manifest["architecture"] = architecture_of(config)
        if (run / seen.FILE).exists():
            shutil.copyfile(run / seen.FILE, part / seen.FILE)
        write_bundle(part, target, manifest)
    return target


def comparison_texts(settings: dict[str, Any]) -> list[str]:
    """Real texts to compare on: of the development sets, or the own labels where there is no data folder.

    Raises
    ------
    BundleError
        There are neither.
    """
    folder = find_data_folder()
    if folder is not None and settings.get("shared_data", True):
        return [e.text for s in development_sets(folder).values() for e in s[::8]][:600]
    if not settings["extra_labels"]:
        raise BundleError("no text to compare the graph with torch on; set VOC_DATA_DIR")
    return [e.text for e in read_labels(Path(settings["extra_labels"])).examples][:600]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _manifest(
    name: str,
    version: str,
    dim: int,
    base: dict[str, str],
    about: dict[str, Any],
    agreement: dict[str, float],
) -> dict[str, Any]:
    n = len(BINARY_LABELS)
    half = dict.fromkeys(BINARY_LABELS, 0.5)
    return {
        "schema": SCHEMA,
        "name": name,
        "version": version,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "labels": {"sentiment": list(SENTIMENTS), "signals": list(SIGNALS)},
        "max_tokens": MAX_TOKENS,
        "overlap": OVERLAP,
        "embedding_dim": dim,
        "base": base,
        "calibration": Calibration(1.0, (0.0,) * N_SENTIMENTS, (1.0,) * n, (0.0,) * n).to_dict(),
        "default_operating_point": "balanced",
        "operating_points": {"balanced": {"thresholds": half, "about": {"method": "one half, uncalibrated"}}},
        "training": {
            k: about[k]
            for k in ("settings", "data", "seconds", "init_bundle", "precision", "averaged")
            if about.get(k) is not None
        },
        "metrics": {"development_fp32": about["development"], "int8_against_torch": agreement},
    }


def write_bundle(part: Path, target: Path, manifest: dict[str, Any]) -> None:
    """Copy model, tokenizer and keys from `part` and write the manifest with their digests, last."""
    target.mkdir(parents=True)
    names = ["model.onnx", "tokenizer.json", *([seen.FILE] if (part / seen.FILE).exists() else [])]
    for name in names:
        shutil.copyfile(part / name, target / name)
    manifest["files"] = {name: file_digest(target / name) for name in names}
    (target / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder that training.finetune wrote")
    parser.add_argument("--name", default="voc-small")
    parser.add_argument("--version", required=True)
    parser.add_argument("--output", type=Path, default=Path("models"))
    parser.add_argument("--base", help="base model, for the card")
    parser.add_argument("--licence", help="its licence")
    args = parser.parse_args()
    try:
        target = export_bundle(
            args.run,
            name=args.name,
            version=args.version,
            output=args.output,
            base=args.base,
            licence=args.licence,
        )
    except VocError as error:
        sys.exit(f"export: {error}")
    print(target)


if __name__ == "__main__":
    main()
