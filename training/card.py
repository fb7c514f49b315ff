"""Write a bundle's card from its manifest and a report.

python -m evaluation.report models/voc-small/1.1.0 --output var/report.html
python -m training.card models/voc-small/1.1.0 --report var/report.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

# Licences as stated at the source of each set; a person should check them before a commercial release.
LICENCES = {
    "alexa_reviews": "none stated", "app_reviews": "none stated", "apple_tweets": "none stated (CrowdFlower)",
    "banking77": "CC BY 4.0", "cfpb": "US government work", "complaint_tweets": "MIT (X-CI); tweets: none stated",
    "dynasent_r1r2": "CC BY 4.0", "goemotions": "Apache-2.0", "hint3": "ODbL",
    "hotel_opener_en_sentences": "none stated", "hotel_reviews": "none stated",
    "huliu_product_sentences": "CC BY 4.0", "kotzias_sentences": "asks for citation",
    "made_behaviours": "made by `training.behaviours`",
    "multidogo_turns": "CDLA-Permissive", "oats": "none stated", "oats_sentences": "none stated",
    "privacy_app_reviews": "Apache-2.0", "semeval2017_tweets": "none stated (code MIT)",
    "semeval_tweets": "none stated (code MIT)", "senti4sd_stackoverflow": "MIT", "skytrax": "CC0",
    "skytrax_lounge_seat": "CC0", "sst3_phrases_train": "none stated (code MIT)",
    "sst3_sentences": "none stated (code MIT)", "staff_survey": "none stated", "sxsw_brand_tweets": "none stated",
    "task_dialogue_turns": "MultiWOZ, SGD: research release", "uss_user_satisfaction_turns": "none stated",
}  # fmt: skip


def write_card(bundle: Path, report: dict[str, Any], stages: list[dict[str, Any]]) -> str:
    """The text of the card."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    counts: dict[str, int] = {}
    for stage in [*stages, manifest["training"]]:
        for name, n in stage["data"]["counts"].items():
            counts[name] = max(counts.get(name, 0), n)
    lines = [
        f"# {manifest['name']} {manifest['version']}", "",
        f"Sentiment, frustration and fifteen operational risk signals of English customer texts, with an embedding "
        f"and evidence, from one int8 graph. Base: {manifest['base']['model']} ({manifest['base']['licence']}). "
        f"Windows of {manifest['max_tokens']} tokens that share {manifest['overlap']}.", "",
        "## Measured", "",
        "int8, at the operating point `" + report["operating_point"] + "`, on the visible sets, reported once; "
        "intervals: bootstrap, 95 %.", "",
        *_table(("set", "measure", "n", "value", "interval", "target"), (
            (r["set"], r["measure"], r["n"], f"{r['value']:.3f}", f"{r['low']:.3f} to {r['high']:.3f}",
             r["target"] or "")
            for r in report["accuracy"]
        )),
        "", "`signals dev` and `signals dev_social` helped to choose training settings and how the stages are "
        "averaged: they are development figures, not test figures. Thresholds and calibration were fitted on "
        "other texts.", "", "### Labels", "",
        *_table(("set", "label", "positives", "precision", "recall", "F1"), (
            (r["set"], r["label"], r["positives"], f"{r['precision']:.2f}", f"{r['recall']:.2f}", f"{r['f1']:.2f}")
            for r in report["labels"]
        )),
        "", "### CheckList, by capability", "",
        *_table(("capability", "n", "failure rate"), (
            (r["group"], r["n"], f"{1 - r['accuracy']:.3f}")
            for r in report["groups"] if r["set"] == "checklist_mft" and "words" not in r["group"]
        )),
        "", "### Calibration", "", *_table(("set", "head", "n", "ECE", "interval", "Brier"), (
            (r["set"], r["head"], r["n"], f"{r['ece']:.3f}", f"{r['low']:.3f} to {r['high']:.3f}", f"{r['brier']:.3f}")
            for r in report["calibration"] if r["set"].startswith("signals") or "sentiment" in r["head"]
        )),
        *_out_of_fold(manifest),
        "", "### Evidence (ERASER: how far a probability falls)", "", *_table(
            ("evidence", "n", "its spans deleted", "random spans deleted", "only its spans kept",
             "only random spans kept"),
            ((r["evidence"], r["n"], *(f"{r[k]:.3f}" for k in list(r)[2:])) for r in report["evidence"]),
        ),
        "", "## Thresholds", "",
        *_table(("operating point", "method", "set by", "data"), (
            (name, point["about"].get("method", ""), point["about"].get("at", ""), point["about"].get("data", ""))
            for name, point in manifest["operating_points"].items()
        )),
        "", "## Training data and licences", "",
        "Licences as stated at the source; a person should check them before a commercial release. Of sets marked "
        "'none stated' the texts were published for research. Labels made by reading: `training/labels/`.", "",
        *_table(("set", "texts at most", "licence"), (
            (n, c, LICENCES.get(n, "own labels")) for n, c in sorted(counts.items())
        )),
        "", "## Limits", "",
        "English only. Public data of 2009 to 2024: tweets, reviews, bank complaints, service dialogues. Base rates "
        "of signals in training are far above those of a live stream: refit calibration and thresholds on your own "
        "labels (`python -m training.calibrate`). Rare signals rest on few positives: "
        f"{_rare(manifest)}. Sentiment is calibrated on customer texts; on film reviews and general tweets it is "
        "too sure (ECE above). Where made sentences trained (`made_behaviours`), they show the phenomena that "
        "CheckList tests, in other words, and the names of its tests were known when they were written: its failure "
        "rate says how well those were learnt, and nothing of phenomena never seen. "
        "Not measured for differences between groups of customers.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _out_of_fold(manifest: dict[str, Any]) -> list[str]:
    error = manifest["calibrated_on"].get("ece_out_of_fold", {})
    if not error:
        return []
    names = ", ".join(f"{name} {value:.3f}" for name, value in error.items())
    return ["", f"On the {manifest['calibrated_on']['n_texts']:,} texts that calibrate, each fifth by a fit on the "
            f"other four (ECE): {names}."]  # fmt: skip


def _rare(manifest: dict[str, Any]) -> str:
    positives = manifest["training"]["data"].get("positives", {})
    few = sorted((n, name) for name, n in positives.items() if n < 500)
    return ", ".join(f"{name} ({n} in training)" for n, name in few) or "see the labels"


def _table(header: tuple[str, ...], rows: Any) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--report", type=Path, required=True, help="JSON that evaluation.report wrote")
    parser.add_argument(
        "--stage", type=Path, action="append", default=[], help="run.json of an earlier stage"
    )
    args = parser.parse_args()
    stages = [json.loads(path.read_text()) for path in args.stage]
    card = write_card(args.bundle, json.loads(args.report.read_text()), stages)
    (args.bundle / "card.md").write_text(card)
    print(args.bundle / "card.md")


if __name__ == "__main__":
    main()
