"""`voc score`: its contract, row for row, and what it says of bad input."""

import csv
import gzip
import json
from datetime import UTC, datetime

import polars as pl
import pytest

from voc.taxonomy import SIGNALS

TEXTS = {
    "a": "My refund never came and nobody answers my calls!",
    "b": "",
    "c": "Thank you so much, the agent was lovely and quick",
    "d": "Das Paket kam nie an, ich bin sehr enttäuscht",
    "e": "the app crashes every time I open it since the update. " * 60,
    "f": "1234 5678",
    "a2": "My refund never came and nobody answers my calls!",
}


def _write(path, kind):
    rows = [{"id": name, "text": text} for name, text in TEXTS.items()]
    if kind == "csv":
        with path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, ["id", "text"])
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "jsonl.gz":
        path.write_bytes(gzip.compress("\n".join(json.dumps(r) for r in rows).encode()))
    else:
        pl.DataFrame(rows).write_parquet(path)


@pytest.mark.parametrize("kind", ["csv", "jsonl.gz", "parquet"])
def test_one_row_out_for_each_row_in_with_all_that_was_promised(voc, tmp_path, kind):
    source, target = tmp_path / f"in.{kind}", tmp_path / "out.jsonl"
    _write(source, kind)

    done = voc("score", source, "--output", target)

    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert [r["id"] for r in rows] == list(TEXTS)
    by_id = {r["id"]: r for r in rows}
    assert [by_id[k]["supported"] for k in "abcdef"] == [True, False, True, False, True, False]
    assert [by_id[k]["reason"] for k in "bdf"] == ["empty", "language", "no_words"]
    assert by_id["d"]["language"] == "de"
    for name in ("a", "c", "e"):
        row = by_id[name]
        assert set(row["signals"]) == set(SIGNALS)
        assert sum(row["sentiment"]["proba"].values()) == pytest.approx(1, abs=1e-5)
        assert -1 <= row["sentiment"]["score"] <= 1
        for span in row["evidence"]:
            assert TEXTS[name][span["start"] : span["end"]] == span["text"]
    assert by_id["a"]["sentiment"]["label"] == "negative"
    assert by_id["c"]["sentiment"]["label"] == "positive"
    assert by_id["e"]["n_windows"] > 1
    assert by_id["e"]["signals"]["outage_defect"]["flag"]
    assert {**by_id["a2"], "id": "a"} == by_id["a"]


def test_rows_come_from_stdin_and_go_to_stdout(voc):
    done = voc("score", "-", "--text", "body", stdin='{"body": "Charged twice!"}\n{"body": null}\n')

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["id"] for r in rows] == [1, 2]
    assert [r["supported"] for r in rows] == [True, False]


def test_a_field_that_holds_no_text_is_said_so_and_its_neighbours_are_scored(voc):
    values = [{"a": "b"}, ["a"], True, 12.5, "Charged twice, nobody answers!"]
    stdin = "".join(json.dumps({"id": i, "text": v}) + "\n" for i, v in enumerate(values)) + '{"id": NaN}\n'

    done = voc("score", "-", stdin=stdin)

    rows = [json.loads(line, parse_constant=pytest.fail) for line in done.stdout.splitlines()]
    assert [r["id"] for r in rows] == [0, 1, 2, 3, 4, None]
    assert [r["reason"] for r in rows] == ["not_text", "not_text", "not_text", "no_words", None, "empty"]


def test_ids_of_any_kind_become_json(voc, tmp_path):
    source = tmp_path / "in.parquet"
    when = datetime(2026, 3, 1, tzinfo=UTC)
    pl.DataFrame({"id": [b"ab"], "at": [when], "text": [b"late"]}).write_parquet(source)

    done, timed = voc("score", source), voc("score", source, "--id", "at")

    assert json.loads(done.stdout)["id"] == "6162"
    assert json.loads(done.stdout)["reason"] == "not_text"
    assert json.loads(timed.stdout)["id"] == "2026-03-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("id,text\n", "no rows"),
        ("id,text,text\n1,a,b\n", "twice"),
        ('{"text": ' + "[" * 5000 + "]" * 5000 + "}", "row 1"),
        ("id,body\n1,hello\n", "field 'text'"),
        ('{"id": 1, "text": "ok"}\n{"id": 2, "text": \n', "row 2"),
        ("id,text\n1,a,b\n", "row 1"),
    ],
)
def test_a_bad_file_is_named_and_nothing_is_half_written(voc, tmp_path, content, words):
    source, target = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text(content)

    done = voc("score", source, "--output", target)

    assert done.returncode == 1
    assert str(source) in done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [source]


def test_a_wrong_encoding_is_named(voc, tmp_path):
    source = tmp_path / "in.csv"
    source.write_bytes("id,text\n1,caf\xe9 was cold\n".encode("latin-1"))

    done = voc("score", source)

    assert done.returncode == 1
    assert "UTF-8" in done.stderr


def test_wrong_usage_is_exit_code_2(voc, tmp_path):
    assert voc("score", tmp_path / "nothing.csv").returncode == 2
    assert voc("score").returncode == 2
    assert voc("score", tmp_path).returncode == 2
    assert voc("score", "-", "--output", tmp_path, stdin='{"text": "x"}').returncode == 2
    assert voc("score", "-", "--bundle", tmp_path / "none").returncode == 2
    assert voc("score", "-", "--operating-point", "nope").returncode == 2
    assert voc("score", "-", "--no-such-flag").returncode == 2


def test_a_corrupt_bundle_is_refused(voc, tmp_path):
    (tmp_path / "manifest.json").write_text("{}")

    done = voc("score", "-", "--bundle", tmp_path, stdin='{"text": "x"}\n')

    assert done.returncode == 1
    assert "manifest.json" in done.stderr


def test_a_text_of_ten_megabytes_is_refused_aloud_and_its_neighbour_scored(voc):
    stdin = json.dumps({"text": "x " * 5_000_000}) + "\n" + json.dumps({"text": "all good, thanks"}) + "\n"

    done = voc("score", "-", stdin=stdin)

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["reason"] for r in rows] == ["too_long", None]


def test_half_an_emoji_is_scored_with_evidence_in_its_place(voc):
    text = "\ud83d I was charged twice and nobody answers my calls!"

    done = voc("score", "-", stdin=json.dumps({"text": text}) + "\n")

    assert done.returncode == 0, done.stderr
    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert row["evidence"]
    assert all(
        text[span["start"] : span["end"]] == span["text"].replace("\ufffd", "\ud83d")
        for span in row["evidence"]
    )
