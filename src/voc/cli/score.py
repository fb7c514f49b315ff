"""`voc score`: one JSON line out for each row in."""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import tee
from pathlib import Path
from typing import Annotated, Any

import typer

from voc.classify.bundle import find_live_bundle, load_bundle
from voc.classify.scorer import Scorer
from voc.cli.progress import track
from voc.files import check_output, open_output, stream_rows
from voc.json_values import storable
from voc.language import whole_characters
from voc.records import Score


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("score")(score)


def score(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="CSV, JSON Lines or Parquet, gzipped or not; - for stdin")
    ],
    text: Annotated[str, typer.Option(help="field that holds the text")] = "text",
    id_field: Annotated[
        str, typer.Option("--id", help="field that names the row; without it rows are counted from 1")
    ] = "id",
    bundle: Annotated[
        Path | None, typer.Option(help="folder of a bundle; else VOC_BUNDLE, else the one models/LIVE names")
    ] = None,
    operating_point: Annotated[
        str | None, typer.Option(help="which thresholds of the bundle raise flags")
    ] = None,
    output: Annotated[str | None, typer.Option(help="file to write (.gz compresses); else stdout")] = None,
) -> None:
    """Score texts: sentiment, frustration and fifteen signals with calibrated probabilities.

    One JSON line comes out for each row that goes in, in the same order. A text longer than the
    model's window is windowed, never cut. A text that is empty or not English, and a field that holds
    no text, comes back with "supported": false and the reason. Needs no database.

        voc score reviews.csv --text body --id review_id --output scores.jsonl

        echo '{"text": "Charged twice, nobody answers!"}' | voc score -
    """
    check_output(output)
    scorer = open_scorer(bundle, operating_point)
    rows, again = tee(stream_rows(source, required=(text,)))
    texts = (_as_text(row[text]) for row in rows)
    began = time.monotonic()
    n_rows = n_refused = 0
    with open_output(output) as out:
        for row, result in zip(again, track(scorer.score_all(texts), "scoring"), strict=True):
            n_rows += 1
            n_refused += not result.supported
            if not _is_text(row[text]):
                result = replace(result, reason="not_text")
            name = _as_id(row[id_field]) if id_field in row else n_rows
            line = score_to_dict(name, _as_text(row[text]), result)
            out.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
    took = time.monotonic() - began
    print(
        f"{n_rows:,} texts in {took:.1f} s ({n_rows / max(took, 1e-9):,.0f}/s), {n_refused:,} not supported, "
        f"{scorer.bundle.id} at '{scorer.point.name}'",
        file=sys.stderr,
    )


def open_scorer(bundle: Path | None, operating_point: str | None) -> Scorer:
    """The scorer of `bundle`, of VOC_BUNDLE, or of the live bundle in VOC_MODELS or ./models."""
    return Scorer(load_bundle(bundle or default_bundle()), operating_point=operating_point)


def default_bundle() -> Path:
    """VOC_BUNDLE, or the bundle that `LIVE` names in VOC_MODELS, ./models or beside the package."""
    if named := os.environ.get("VOC_BUNDLE"):
        return Path(named)
    places = [Path(os.environ["VOC_MODELS"])] if "VOC_MODELS" in os.environ else []
    places += [Path("models"), Path(__file__).parents[3] / "models"]
    found = next((place for place in places if (place / "LIVE").exists()), places[0])
    return find_live_bundle(found)


def _is_text(value: Any) -> bool:
    return value is None or (isinstance(value, str | int | float) and not isinstance(value, bool))


def _as_text(value: Any) -> str:
    return "" if value is None or not _is_text(value) else whole_characters(str(value))


def _as_id(value: Any) -> Any:
    return value if isinstance(value, int) else storable(value)


def score_to_dict(name: Any, text: str, score: Score) -> dict[str, Any]:
    """The wire form of a score; its keys are a contract (see docs/reference/score.md)."""
    result: dict[str, Any] = {
        "id": name,
        "supported": score.supported,
        "reason": score.reason,
        "language": score.language,
        "sentiment": None,
        "frustration": None,
        "signals": None,
        "evidence": [],
        "n_windows": score.n_windows,
        "model": score.model,
    }
    if score.sentiment_proba is None or score.frustration is None or score.sentiment_score is None:
        return result
    negative, neutral, positive = (round(p, 6) for p in score.sentiment_proba)
    result["sentiment"] = {
        "label": score.sentiment,
        "score": round(score.sentiment_score, 6),
        "proba": {"negative": negative, "neutral": neutral, "positive": positive},
    }
    result["frustration"] = {"proba": round(score.frustration, 6), "flag": score.frustration_flag}
    result["signals"] = {
        name: {"proba": round(p, 6), "flag": name in score.flags} for name, p in score.signals.items()
    }
    result["evidence"] = list(_evidence(text, score))
    return result


def _evidence(text: str, score: Score) -> Iterator[dict[str, Any]]:
    for span in score.evidence:
        yield {"for": span.label, "start": span.start, "end": span.end, "text": text[span.start : span.end]}
