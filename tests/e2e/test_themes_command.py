"""`voc themes` from the command line, with the real bundle: fit, show, assign, fit again, emerging."""

import json

import pytest

THINGS = {
    "card": [
        "was declined at the till",
        "does not work in any shop",
        "got blocked abroad",
        "was swallowed by the ATM",
    ],
    "parcel": ["has not arrived", "came two weeks late", "is lost with the courier", "was left in the rain"],
    "app": ["crashes when I log in", "freezes after the update", "shows an error at login", "does not start"],
    "refund": ["is still not on my account", "was promised in March", "never came", "is less than I paid"],
}
FRAMES = ["My {} {}.", "Hello, the {} {}, please help!", "Again: my {} {}", "Why is it that my {} {}?"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """64 made-up complaints about four things."""
    file = tmp_path_factory.mktemp("themes") / "texts.jsonl"
    rows = [
        {"id": f"{thing}-{i}-{j}", "text": frame.format(thing, what), "time": f"2026-01-{1 + i:02}T09:00:00Z"}
        for thing, complaints in THINGS.items()
        for i, what in enumerate(complaints)
        for j, frame in enumerate(FRAMES)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def fitted(voc, texts):
    """A fit of those texts."""
    folder = texts.parent / "fit"
    done = voc("themes", "fit", texts, "--output", folder, "--themes", "4", "--min-size", "5")
    assert done.returncode == 0, done.stderr
    return folder


def lines(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_show_lists_what_fit_found(voc, fitted):
    themes = lines(voc("themes", "show", fitted, "--json"))
    shown = voc("themes", "show", fitted).stdout

    assert 2 <= len(themes) <= 4
    assert all(theme["n_texts"] >= 5 and theme["quotes"] for theme in themes)
    assert all(theme["id"] in shown and theme["name"] in shown for theme in themes)


def test_assign_says_of_the_fitted_texts_what_fit_said(voc, fitted, texts):
    placed = lines(voc("themes", "assign", fitted, texts))
    recorded = [json.loads(line) for line in (fitted / "assignments.jsonl").read_text().splitlines()]

    assert [row["id"] for row in placed] == [row["id"] for row in recorded]
    same = sum(a["theme"] == b["theme"] for a, b in zip(placed, recorded, strict=True))
    assert same == len(placed)


def test_a_second_fit_keeps_ids_and_a_persons_name(voc, fitted, texts):
    theme = lines(voc("themes", "show", fitted, "--json"))[0]["id"]
    assert voc("themes", "edit", fitted, theme, "--name", "Mine", "--by", "anna").returncode == 0
    again = texts.parent / "again"
    done = voc("themes", "fit", texts, "--previous", fitted, "--output", again, "--min-size", "5")
    assert done.returncode == 0, done.stderr

    assert {t["id"]: t["name"] for t in lines(voc("themes", "show", again, "--json"))}[theme] == "Mine"


def test_emerging_says_when_there_are_too_few_texts(voc, fitted, texts):
    done = voc("themes", "emerging", fitted, texts)

    assert lines(done) == []
    assert "64 texts, 0 new matters" in done.stderr
    assert "nothing can be new before 3,000 texts are known" in done.stderr


def test_emerging_names_the_row_whose_time_is_none(voc, fitted, tmp_path):
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "My card was declined.", "time": "yesterday"}\n')
    done = voc("themes", "emerging", fitted, file)

    assert done.returncode != 0
    assert "row 1" in done.stderr
    assert "'yesterday' is no time" in done.stderr
    assert "declined" not in done.stderr
