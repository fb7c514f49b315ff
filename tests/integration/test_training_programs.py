"""Suggest and drift as programs on a tiny bundle; the language check on a few sentences."""

import json
import sys

import pytest

from evaluation import drift, language
from tests.tiny_bundle import build_tiny_bundle, made_up_rows, write_jsonl
from training import suggest
from voc.language import LanguageDetector

ROWS = made_up_rows()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return str(build_tiny_bundle(tmp_path_factory.mktemp("models")))


def _main(program, monkeypatch, *args):
    monkeypatch.setattr(sys, "argv", ["program", *map(str, args)])
    program.main()


def test_suggest_gives_new_english_texts_with_the_reason(bundle, tmp_path, monkeypatch, capsys):
    foreign = {"text": "Das Paket ist leider immer noch nicht angekommen und niemand antwortet."}
    texts = write_jsonl(tmp_path / "texts.jsonl", [
        {"id": i, "text": row["text"]} for i, row in enumerate(ROWS[:60])] + [foreign, {"text": " "}])  # fmt: skip
    labelled = write_jsonl(tmp_path / "own.jsonl", ROWS[:20])

    _main(suggest, monkeypatch, texts, "--n", 8, "--bundle", bundle, "--labelled", labelled,
          "--output", tmp_path / "next.jsonl")  # fmt: skip

    chosen = [json.loads(line) for line in (tmp_path / "next.jsonl").read_text().splitlines()]
    assert len({row["text"] for row in chosen}) == 8
    assert all(20 <= row["id"] < 60 for row in chosen)
    assert all(len(row["unsure_of"]) == 3 for row in chosen)
    err = capsys.readouterr().err
    assert "2 empty, not English or too long" in err
    assert "20 said twice or labelled" in err


def test_suggest_without_a_text_field_names_the_fields(bundle, tmp_path, monkeypatch):
    texts = write_jsonl(tmp_path / "texts.jsonl", [{"words": "hello there"}])

    with pytest.raises(SystemExit, match=r"field 'text'.*words"):
        _main(suggest, monkeypatch, texts, "--bundle", bundle)


def test_drift_is_silent_on_the_same_traffic_and_loud_on_another(bundle, tmp_path, monkeypatch, capsys):
    quiet = write_jsonl(tmp_path / "a.jsonl", ROWS[:120])
    same = write_jsonl(tmp_path / "b.jsonl", ROWS[120:240])
    only_late = [row for row in ROWS if "nine days late" in row["text"]] * 2
    other = write_jsonl(tmp_path / "c.jsonl", only_late)

    _main(drift, monkeypatch, quiet, same, "--bundle", bundle)
    assert capsys.readouterr().out.startswith("no drift: 0 of ")
    _main(drift, monkeypatch, quiet, other, "--bundle", bundle, "--json")

    findings = json.loads(capsys.readouterr().out)
    loud = {(f["family"], f["what"]) for f in findings if f["p_adjusted"] <= 0.05}
    assert ("inputs", "embedding") in loud
    assert ("mix", "delay (judged)") in loud


def test_drift_of_too_few_texts_is_refused(bundle, tmp_path, monkeypatch):
    few = write_jsonl(tmp_path / "few.jsonl", ROWS[:5])

    with pytest.raises(SystemExit, match="5 texts are too few"):
        _main(drift, monkeypatch, few, few, "--bundle", bundle)


def test_the_language_rate_counts_what_is_not_english():
    english = ["the parcel came nine days late and nobody told me"] * 3
    german = ["Das Paket ist leider immer noch nicht angekommen."]

    share, taken = language.rate(english + german, LanguageDetector())

    assert share == 0.25
    assert taken == {"de": 1}


@pytest.mark.data
def test_english_customers_are_heard_and_foreign_texts_caught(data_dir):
    rows = {row["set"]: row for row in language.measure(data_dir, 150)}

    assert rows["all English"]["not_english"] < 0.02
    assert rows["all foreign"]["not_english"] > 0.85
