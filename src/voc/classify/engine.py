"""Windows of tokens through the ONNX graph: logits, embedding and each token's share."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from voc.classify.windows import Window, pack_windows
from voc.errors import BundleError

Floats = NDArray[np.float32]
OUTPUTS = ("embedding", "sentiment", "frustration", "signals", "evidence")


@dataclass(frozen=True, slots=True)
class Logits:
    """What the graph says of each window, in the windows' order."""

    sentiment: Floats  # (n_windows, 3)
    binary: Floats  # (n_windows, 16): frustration, then the signals
    embedding: Floats  # (n_windows, dim), unit length
    evidence: list[Floats]  # per window (n_tokens, 19): sentiment, frustration, signals


class Engine:
    """An onnxruntime session. Safe to call from several threads; each call uses all its cores."""

    def __init__(self, model: Path, *, threads: int | None = None, token_budget: int = 1024) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises classes of its own for each way to be broken
            raise BundleError(
                f"{model} cannot be run ({type(error).__name__}); export the bundle again"
            ) from error
        names = tuple(output.name for output in self._session.get_outputs())
        if names != OUTPUTS:
            raise BundleError(f"{model} gives {names}, not {OUTPUTS}; export the bundle again")
        self.token_budget = token_budget

    def run(self, windows: Sequence[Window]) -> Logits:
        """Score windows in batches of like length; results come in the order given."""
        n = len(windows)
        sentiment: Floats = np.empty((n, 3), dtype=np.float32)
        binary: Floats | None = None
        embedding: Floats | None = None
        evidence: list[Floats] = [np.empty((0, 0), dtype=np.float32)] * n
        for batch in pack_windows(windows, token_budget=self.token_budget):
            out = self.run_batch([windows[i] for i in batch])
            if binary is None or embedding is None:
                embedding = np.empty((n, out.embedding.shape[1]), dtype=np.float32)
                binary = np.empty((n, out.binary.shape[1]), dtype=np.float32)
            embedding[batch], sentiment[batch], binary[batch] = out.embedding, out.sentiment, out.binary
            for row, i in enumerate(batch):
                evidence[i] = out.evidence[row]
        if binary is None or embedding is None:
            empty: Floats = np.empty((0, 0), dtype=np.float32)
            return Logits(sentiment, empty, empty, [])
        return Logits(sentiment, binary, embedding, evidence)

    def run_batch(self, windows: Sequence[Window]) -> Logits:
        """Score one window or more in one call of the graph, padded to the longest of them."""
        longest = max(len(window.ids) for window in windows)
        ids = np.zeros((len(windows), longest), dtype=np.int64)
        mask = np.zeros((len(windows), longest), dtype=np.int64)
        for row, window in enumerate(windows):
            ids[row, : len(window.ids)] = window.ids
            mask[row, : len(window.ids)] = 1
        out = self._session.run(list(OUTPUTS), {"input_ids": ids, "attention_mask": mask})
        binary = np.concatenate([out[2][:, None], out[3]], axis=1)
        evidence = [out[4][row, : len(window.ids)] for row, window in enumerate(windows)]
        return Logits(out[1], binary, out[0], evidence)


def concatenate(parts: Sequence[Logits]) -> Logits:
    """Logits of several runs as one, in their order."""
    return Logits(
        np.concatenate([part.sentiment for part in parts]),
        np.concatenate([part.binary for part in parts]),
        np.concatenate([part.embedding for part in parts]),
        [share for part in parts for share in part.evidence],
    )
