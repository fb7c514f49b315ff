"""A mapping says what it means, or names the key that is wrong and what to do."""

import re
from pathlib import Path

import pytest
import yaml

from voc.errors import MappingError
from voc.ingest import mapping as mapping_module
from voc.ingest.mapping import load_mapping, parse_mapping

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "examples" / "mappings").glob("*.yaml"))
GUIDE = ROOT / "docs" / "guides" / "mappings.md"

MINIMAL = """\
name: shop
version: 1
kind: review
external_id: id
time: written_at
text: body
"""


def test_a_minimal_mapping_is_read():
    mapping = parse_mapping(MINIMAL)

    assert (mapping.name, mapping.source, mapping.version, mapping.kind) == ("shop", "shop", "1", "review")
    assert mapping.columns_needed() == [("id",), ("written_at",), ("body",)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_mapping_is_valid_and_named_like_its_file(path):
    assert load_mapping(path).name == path.stem


@pytest.mark.parametrize(
    ("edit", "field", "words"),
    [
        (("text: body", "txet: body"), "txet", "did you mean 'text'"),
        (("version: 1\n", ""), "version", "key is missing"),
        (("kind: review", "kind: reviews"), "kind", "did you mean 'review'"),
        (("kind: review\n", ""), "kind", "key is missing"),
        (("time: written_at\n", ""), "time", "key is missing"),
        (("text: body\n", ""), "text", "give one of text"),
        (("text: body", "text: body\nverbatims: [{field: a}]"), "text", "given 2 times"),
        (("text: body", "text: body\nturn_index: n"), "turn_index", "does not belong here"),
        (("text: body", "text: body\ntext: other"), None, "key 'text' is given twice at line 7"),
        (("time: written_at", "time: {field: t, zone: Mars/Base}"), "time.zone", "IANA"),
        (("time: written_at", "time: {field: t, formats: [DD.MM]}"), "time.formats", "not a time format"),
        (("time: written_at", "time: {field: t, missing: soon}"), "time.missing", "neither"),
        (("time: written_at", "time: {feild: t}"), "time.feild", "did you mean 'field'"),
        (("external_id: id", "external_id: no"), "external_id", "in quotes"),
        (("external_id: id", "external_id: {constant: 7}"), "external_id", "differs from row to row"),
        (("external_id: id", "external_id: {hash: text}"), "external_id.hash", "hash: row"),
        (("text: body", "text: body\nratings: [{scale: nsp, field: x}]"), "ratings[0].scale", "'nps'"),
        (("text: body", "text: body\nratings: [{scale: nps}]"), "ratings[0].field", "key is missing"),
        (("text: body", "text: body\nratings: [{scale: nps, field: x, range: [9]}]"), "ratings[0].range", "rising"),
        (("text: body", "text: body\nwhere: [{field: x}]"), "where[0]", "in and not_in"),
        (("text: body", "text: body\nlimits: {text_chars: 0}"), "limits.text_chars", "out of bounds"),
        (("text: body", "text: body\nlimits: {text_chars: many}"), "limits.text_chars", "not a number"),
        (("text: body", "text: body\nduplicates: {similarity: 0.2}"), "duplicates.similarity", "bounds"),
        (("text: body", "text: body\nformat: {delimiter: ';;'}"), "format.delimiter", "one sign"),
        (("text: body", "text: body\nformat: {encoding: utf-99}"), "format.encoding", "not known"),
        (("text: body", "text: body\nmeta: [a, b]"), "meta", "name: field"),
        (("text: body", "text: {field: a, constant: b}"), "text", "2 times"),
        (("text: body", "text: ['*', a]"), "text", "cannot stand for a column"),
        (("text: body", "turns: {field: t}"), "turns.text", "key is missing"),
        (("kind: review", "kind: transcript"), "conversation_id", "key is missing"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_names_file_key_and_remedy(edit, field, words):
    text = MINIMAL.replace(*edit)

    with pytest.raises(MappingError) as caught:
        parse_mapping(text, file="shop.yaml")

    assert caught.value.file == "shop.yaml"
    assert caught.value.field == field
    assert caught.value.remedy
    assert words in str(caught.value)


def test_turns_in_a_mapping_that_is_no_transcript_are_refused():
    turns = "turns: {field: t, text: a, speaker: b, speakers: {customer: c}}"

    with pytest.raises(MappingError, match="a review has no turns"):
        parse_mapping(MINIMAL.replace("text: body", turns))


def test_speakers_without_a_customer_are_refused():
    turns = "turns: {field: t, text: a, speaker: b, speakers: {agent: c}}"

    with pytest.raises(MappingError, match=r"turns\.speakers\.customer"):
        parse_mapping(MINIMAL.replace("kind: review", "kind: transcript").replace("text: body", turns))


@pytest.mark.parametrize("text", ["", "a: [", "- a\n- b", "just words", "a: !!python/object:os.system {}"])
def test_what_is_no_block_of_keys_is_refused(text):
    with pytest.raises(MappingError, match=r"shop\.yaml"):
        parse_mapping(text, file="shop.yaml")


def test_a_missing_mapping_file_is_refused_by_name(tmp_path):
    with pytest.raises(MappingError, match=r"gone\.yaml.*cannot be opened"):
        load_mapping(tmp_path / "gone.yaml")


def test_a_mapping_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_bytes(b"name: caf\xe9\n")

    with pytest.raises(MappingError, match="not UTF-8"):
        load_mapping(path)


def test_the_fingerprint_follows_content_and_not_comments_or_order():
    reordered = "# a comment\n" + "\n".join(reversed(MINIMAL.strip().splitlines()))

    assert parse_mapping(reordered).fingerprint == parse_mapping(MINIMAL).fingerprint
    assert parse_mapping(MINIMAL + "segment: s\n").fingerprint != parse_mapping(MINIMAL).fingerprint
    assert parse_mapping(MINIMAL).lineage_version.startswith("1+")


def test_an_optional_field_is_not_needed_in_the_file():
    mapping = parse_mapping(MINIMAL + "region: {field: land, optional: true}\nsegment: {first_of: [a, b]}\n")

    assert ("land",) not in mapping.columns_needed()
    assert ("a", "b") in mapping.columns_needed()


def test_the_guide_names_every_key():
    guide = GUIDE.read_text(encoding="utf-8")
    keys = [*mapping_module._KEYS, "first_of", "join", "constant", "default", "values", "optional"]
    keys += ["delimiter", "encoding", "formats", "zone", "missing", "suffix", "question", "speakers"]
    keys += ["combine", "range", "in", "not_in", "text_chars", "future_days", "window_hours", "similarity"]

    assert [key for key in keys if f"`{key}`" not in guide] == []


def test_the_guides_examples_are_valid():
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    whole = [block for block in blocks if "name:" in block and "kind:" in block]

    assert len(whole) >= 3
    for block in whole:
        assert parse_mapping(block).name == yaml.safe_load(block)["name"]
