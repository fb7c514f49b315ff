"""What one writes first: a FastAPI app that calls the model once for each request. For comparison only."""

import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from voc.classify.bundle import load_bundle
from voc.classify.scorer import Scorer
from voc.cli.score import score_to_dict

app = FastAPI()
scorer = Scorer(load_bundle(Path(os.environ["VOC_BUNDLE"])))


class Request(BaseModel):
    """One text."""

    text: str


@app.post("/score")
def score(body: Request) -> dict[str, Any]:
    """Score it."""
    return score_to_dict(None, body.text, scorer.score([body.text])[0])
