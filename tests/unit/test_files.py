"""Tables in and results out: every form that is promised, and nothing half-written."""

import gzip
import json

import pytest

from voc.errors import InputError, UsageError
from voc.files import open_output, read_table, stream_rows, write_json_lines

ROWS = [{"id": "1", "text": "naïve"}, {"id": "2", "text": "two\nlines"}]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_what_is_written_reads_back(tmp_path, name):
    path = str(tmp_path / name)

    assert write_json_lines(ROWS, path) == 2

    assert list(stream_rows(path)) == ROWS
    assert read_table(path).to_dicts() == ROWS
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_failure_while_writing_leaves_no_file(tmp_path):
    def fail_half_way() -> None:
        with open_output(str(tmp_path / "out.csv")) as out:
            out.write("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()

    assert list(tmp_path.iterdir()) == []


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path):
    path = tmp_path / "bom.csv"
    path.write_bytes("id,text\n1,hello\n".encode("utf-8-sig"))

    assert list(stream_rows(str(path), required=("id",))) == [{"id": "1", "text": "hello"}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"id,text\n1\n", "row 1"),
        (b'{"id": 1}\n[1]\n', "row 2"),
        (gzip.compress(json.dumps(ROWS[0]).encode())[:-9], "gzip"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, content, words):
    path = tmp_path / "in"
    path.write_bytes(content)

    with pytest.raises(InputError, match=words):
        list(stream_rows(str(path)))


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="cannot be opened"):
        list(stream_rows(str(tmp_path / "none")))
