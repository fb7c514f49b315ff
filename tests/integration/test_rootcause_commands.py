"""`voc associate` and `voc spikes` from files to lines: formats, keys, messages, exit codes."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from voc.cli import associate, spikes
from voc.errors import InputError, VocError

ASSOCIATE_KEYS = [
    "outcome", "kind", "step", "odds_ratio", "ci_low", "ci_high", "p_value", "q_value", "n_exposed",
    "n_exposed_outcome", "n_unexposed", "n_unexposed_outcome", "risk_difference", "attributable_fraction",
    "homogeneity_p", "reported",
]  # fmt: skip


@pytest.fixture
def voc():
    """Run a command as `voc` would: (result, rows on stdout)."""
    app = typer.Typer()
    associate.register(app)
    spikes.register(app)

    def run(*args):
        result = CliRunner().invoke(app, [str(a) for a in args])
        return result, [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]

    return run


@pytest.fixture
def company(tmp_path):
    """Three files of a small company in which late shipping goes with complaints about delay."""
    rng = np.random.default_rng(0)
    ids = [f"c{i}" for i in range(1500)]
    late = rng.random(1500) < 0.2
    delay = rng.random(1500) < np.where(late, 0.4, 0.1)
    tables = {
        "cases": pl.DataFrame({"case_id": ids, "segment": rng.choice(["a", "b"], 1500)}),
        "outcomes": pl.DataFrame({"case_id": np.array(ids)[delay], "outcome": "delay"}),
        "deviations": pl.DataFrame({"case_id": np.array(ids)[late], "kind": "sla_breach", "step": "ship"}),
    }
    for name, table in tables.items():
        table.write_csv(tmp_path / f"{name}.csv")
    return tmp_path, tables


def options(folder, suffix=".csv"):
    return [x for n in ("cases", "outcomes", "deviations") for x in (f"--{n}", folder / f"{n}{suffix}")]


def test_associate_writes_the_fixed_keys_in_order(voc, company):
    result, rows = voc("associate", *options(company[0]))

    assert result.exit_code == 0, result.stderr
    assert [list(row) for row in rows] == [ASSOCIATE_KEYS]
    assert rows[0]["reported"] is True
    assert 3 < rows[0]["odds_ratio"] < 10
    assert "1 reported" in result.stderr


def test_every_format_gives_the_same_rows(voc, company):
    folder, tables = company
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")
        table.write_ndjson(folder / f"{name}.jsonl")
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress((folder / f"{name}.csv").read_bytes()))

    texts = {
        voc("associate", *options(folder, s))[0].stdout for s in (".csv", ".csv.gz", ".jsonl", ".parquet")
    }

    assert len(texts) == 1


def test_output_goes_to_a_file(voc, company):
    folder, _ = company
    result, rows = voc("associate", *options(folder), "--output", folder / "out.jsonl")

    assert result.exit_code == 0
    assert rows == []
    assert len((folder / "out.jsonl").read_text().splitlines()) == 1


def test_an_infinite_odds_ratio_is_null(voc, company):
    """Every exposed case has the outcome and no other does: no finite number says that."""
    folder, tables = company
    tables["deviations"].select("case_id", outcome=pl.lit("same")).write_csv(folder / "outcomes.csv")

    _, rows = voc("associate", *options(folder))

    assert rows[0]["odds_ratio"] is None
    assert rows[0]["ci_high"] is None
    assert rows[0]["ci_low"] > 1
    assert rows[0]["reported"] is True


def test_wrong_usage_exits_with_two(voc, company):
    assert voc("associate", *options(company[0]), "--fdr", "1.5")[0].exit_code == 2
    assert voc("associate", "--cases", "x.csv")[0].exit_code == 2


def test_a_named_stratum_that_is_missing_is_an_error(voc, company):
    result, rows = voc("associate", *options(company[0]), "--strata", "segment,planet")

    assert isinstance(result.exception, InputError)
    assert "planet" in str(result.exception)
    assert rows == []


def test_a_file_without_its_column_names_it(voc, company):
    folder, tables = company
    tables["outcomes"].drop("outcome").write_csv(folder / "outcomes.csv")

    result, _ = voc("associate", *options(folder))

    assert "outcomes.csv" in str(result.exception)
    assert "'outcome'" in str(result.exception)


@pytest.fixture
def feedback(tmp_path):
    """200 days of two apps; `Mail` triples for five days from three hours after its release."""
    rng = np.random.default_rng(1)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    release = start + timedelta(days=120, hours=9)
    rows = []
    for app, rate in (("Mail", 20), ("Maps", 15)):
        for day in range(200):
            for _ in range(rng.poisson(rate)):
                rows.append((start + timedelta(days=day, hours=float(rng.uniform(0, 24))), app, "login"))
    for _ in range(200):
        rows.append((release + timedelta(hours=3 + float(rng.uniform(0, 110))), "Mail", "login"))
    table = pl.DataFrame(rows, schema=["timestamp", "app", "topic"], orient="row").with_columns(
        text=pl.lit(".")
    )
    table.write_ndjson(tmp_path / "feedback.jsonl")
    changes = [
        ("mail-7", release, "Mail"),
        ("maps-3", release + timedelta(hours=1), "Maps"),
        ("mail-6", release - timedelta(days=30), "Mail"),
        ("mail-8", release + timedelta(days=3), "Mail"),
    ]
    pl.DataFrame(
        [(i, t.isoformat(), i, a) for i, t, a in changes],
        schema=["id", "timestamp", "title", "app"],
        orient="row",
    ).write_csv(tmp_path / "changes.csv")
    return tmp_path, release


def test_the_spike_names_the_release_before_it_and_no_other(voc, feedback):
    folder, release = feedback
    result, rows = voc("spikes", folder / "feedback.jsonl", "--changes", folder / "changes.csv")

    assert result.exit_code == 0, result.stderr
    assert [row["series"] for row in rows] == ["app=Mail"]
    row = rows[0]
    assert list(row) == ["series", "start", "end", "observed", "expected", "rate_ratio", "candidates"]
    assert [c["change_id"] for c in row["candidates"]] == ["mail-7"]
    found = row["candidates"][0]
    assert list(found) == ["change_id", "lag_h", "rate_ratio", "ci_low", "ci_high", "p_value"]
    assert 0 <= found["lag_h"] < 15
    assert 1 < found["ci_low"] < found["rate_ratio"] < found["ci_high"]
    assert abs(datetime.fromisoformat(row["start"]) - release) < timedelta(hours=15)


def test_a_spike_with_no_change_near_has_no_candidates(voc, feedback):
    folder, _ = feedback
    changes = pl.read_csv(folder / "changes.csv").filter(pl.col("id") != "mail-7")
    changes.write_csv(folder / "other.csv")

    _, rows = voc("spikes", folder / "feedback.jsonl", "--changes", folder / "other.csv")

    assert [row["candidates"] for row in rows] == [[]]


def test_an_external_window_is_left_out_and_can_be_put_back(voc, feedback):
    folder, release = feedback
    changes = pl.read_csv(folder / "changes.csv").with_columns(
        external=pl.col("id") == "mail-7", ended_at=pl.lit((release + timedelta(days=6)).isoformat())
    )
    changes.filter(pl.col("id") == "mail-7").write_csv(folder / "external.csv")

    result, rows = voc("spikes", folder / "feedback.jsonl", "--changes", folder / "external.csv")
    _, kept = voc(
        "spikes", folder / "feedback.jsonl", "--changes", folder / "external.csv", "--keep-external"
    )

    assert rows == []
    assert "1 external windows left out" in result.stderr
    assert [row["candidates"][0]["change_id"] for row in kept] == ["mail-7"]


def test_times_without_an_hour_are_taken_by_day(voc, feedback):
    folder, _ = feedback
    table = pl.read_ndjson(folder / "feedback.jsonl").with_columns(
        pl.col("timestamp").cast(pl.String).str.slice(0, 10)
    )
    table.write_csv(folder / "days.csv")

    _, rows = voc("spikes", folder / "days.csv", "--changes", folder / "changes.csv")

    assert [c["change_id"] for row in rows for c in row["candidates"]] == ["mail-7"]


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [("timestamp", "yesterday", "row 2"), ("id", None, "row 2")],
)
def test_a_bad_change_is_named_by_its_row(voc, feedback, column, value, says):
    folder, _ = feedback
    changes = pl.read_csv(folder / "changes.csv").with_columns(
        pl.when(pl.int_range(pl.len()) == 1).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
    )
    changes.write_csv(folder / "bad.csv")

    result, rows = voc("spikes", folder / "feedback.jsonl", "--changes", folder / "bad.csv")

    assert isinstance(result.exception, VocError)
    assert says in str(result.exception)
    assert rows == []


def test_a_theme_column_that_is_missing_is_an_error(voc, feedback):
    folder, _ = feedback
    result, _ = voc(
        "spikes", folder / "feedback.jsonl", "--changes", folder / "changes.csv", "--theme", "nope"
    )

    assert "nope" in str(result.exception)
