"""Average the encoders of two runs, the second of which went on from the first.

    python -m training.average var/runs/sentiment var/runs/base --share 0.8 --output var/runs/averaged

Fine-tuning on judged texts costs some of what the first stage knew of other channels; the mean of both
keeps most of both. Heads are the second run's. Prints the development figures; export the new run.

Source: Wortsman et al., "Robust fine-tuning of zero-shot models", arXiv:2109.01903.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from training import seen
from training.from_bundle import empty_encoder
from training.model import VocModel
from training.settings import find_data_folder
from training.validate import validate
from voc.errors import InputError, VocError

HEADS = "pool."


def average_weights(first: dict[str, Tensor], second: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """`share` of the second run's weights and the rest of the first's; heads are the second's.

    Raises
    ------
    InputError
        The share is outside [0, 1], or the runs are not of one architecture.
    """
    if not 0 <= share <= 1:
        raise InputError(f"{share} is no share", field="--share", remedy="give a number from 0 to 1")
    if {k: v.shape for k, v in first.items()} != {k: v.shape for k, v in second.items()}:
        raise InputError(
            "the runs are not of one architecture", remedy="the second must go on from the first"
        )
    return {
        name: weight
        if name.startswith(HEADS) or not weight.is_floating_point()
        else torch.lerp(first[name], weight, share)
        for name, weight in second.items()
    }


def average_runs(first: Path, second: Path, share: float, output: Path) -> dict[str, Any]:
    """Write a run folder that `training.export` takes; returns its development figures."""
    record = json.loads((second / "run.json").read_text())
    model = VocModel(empty_encoder(record["architecture"]), frozen=record["settings"]["frozen"])
    loaded = [torch.load(run / "model.pt", weights_only=True) for run in (first, second)]
    model.load_state_dict(average_weights(loaded[0], loaded[1], share))
    output.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), output / "model.pt")
    for name in ("tokenizer.json", seen.FILE):
        shutil.copyfile(second / name, output / name)
    tokenizer = Tokenizer.from_file(str(second / "tokenizer.json"))
    tokenizer.enable_truncation(record["settings"]["max_tokens"])
    folder = find_data_folder()
    report = validate(model, tokenizer, folder) if folder else {}
    record |= {"averaged": {"with": first.name, "share": share}, "development": report}
    (output / "run.json").write_text(json.dumps(record, indent=1) + "\n")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path, help="run folder of the first stage")
    parser.add_argument("second", type=Path, help="run folder that went on from it")
    parser.add_argument("--share", type=float, default=0.8, help="of the second run")
    parser.add_argument("--output", type=Path, required=True, help="folder of the new run")
    args = parser.parse_args()
    try:
        report = average_runs(args.first, args.second, args.share, args.output)
    except VocError as error:
        sys.exit(f"average: {error}")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
