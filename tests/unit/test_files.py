"""Tables in and results out: every form that is promised, and nothing half-written."""

import gzip
import json
import os
import stat
from pathlib import Path

import polars as pl
import pytest

from voc.errors import InputError, UsageError, VocError
from voc.files import check_output, open_output, read_table, stream_rows, write_json_lines

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
        (b"id,text\n1,2,3\n", "row 1"),
        (b'{"id": 1}\n[1]\n', "row 2"),
        (b'id,text\n1,a\n\n2,"b\n3,c\n', "row 2: has a quote that never closes"),
        (b"id,text\n1,a\n\n2,caf\xe9\n", "row 2: is not UTF-8 \\(byte 0xe9\\)"),
        (b'{"id": 1}\n\n{"id": "caf\xe9"}\n', "row 2: is not UTF-8"),
        (b'{"id": 1}\n' + b"[" * 100_000, "row 2: is not JSON .nested too deeply"),
        (b'{"id": ' + b"9" * 5_000 + b"}", "row 1: is not JSON .a number with too many digits"),
        ("id,text\n".encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04" + bytes(100), "is not CSV, JSON Lines or Parquet"),
        (b'[{"id": 1}]', "not JSON Lines"),
        (b"PAR1 and no more", "not a whole Parquet"),
        (gzip.compress(json.dumps(ROWS[0]).encode())[:-9], "gzip"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, content, words):
    path = tmp_path / "in"
    path.write_bytes(content)

    with pytest.raises(InputError, match=words):
        list(stream_rows(str(path)))
    with pytest.raises(InputError, match=words):
        read_table(str(path))


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="cannot be opened"):
        list(stream_rows(str(tmp_path / "none")))
    with pytest.raises(UsageError, match="cannot be opened"):
        read_table(str(tmp_path))


def test_blank_lines_are_no_rows(tmp_path):
    path = tmp_path / "blank.csv"
    path.write_bytes(b"id,text\n\n1,a\n\n2,b\n")

    rows = [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]
    assert list(stream_rows(str(path))) == rows
    assert read_table(str(path)).to_dicts() == rows


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"id,text\n", "a header and no rows"),
        (b"id,body\n1,a\n", "field 'text': column is missing; the columns are id, body"),
        (b"id,text\n1\n", "row 1: has 1 fields, the header 2"),
        (b"id;text\n1;a\n", "separated by ';': save it with commas"),
        (b"id,text,text\n1,a,b\n", "field 'text': column is there twice"),
        (b'{"id": 1}\n{"id": 2}\n', "field 'text': is missing; the fields are id"),
    ],
)
def test_columns_are_checked_before_the_rows(tmp_path, content, words):
    path = tmp_path / "in"
    path.write_bytes(content)

    with pytest.raises(InputError, match=words):
        list(stream_rows(str(path), required=("text",)))


def test_a_parquet_file_without_rows_or_without_a_column_is_refused(tmp_path):
    path = str(tmp_path / "zero.parquet")
    pl.DataFrame({"id": [], "text": []}).write_parquet(path)

    with pytest.raises(InputError, match="no rows"):
        list(stream_rows(path, required=("text",)))
    with pytest.raises(InputError, match="field 'body'"):
        list(stream_rows(path, required=("body",)))


def test_a_json_object_may_leave_a_field_out(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"id": 1}\n{"id": NaN, "text": "a"}\n')

    found = list(stream_rows(str(path), required=("text",)))

    assert found == [{"id": 1, "text": None}, {"id": None, "text": "a"}]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "out", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)

    write_json_lines([{"a": 1}], str(link))

    assert link.is_symlink()
    assert target.read_text() == '{"a": 1}\n'
    assert list(target.parent.iterdir()) == [target]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    write_json_lines([{"a": 1}], str(pipe))

    assert os.read(reader, 100) == b'{"a": 1}\n'
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_an_output_that_cannot_be_is_noticed_before_the_work(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        check_output(str(tmp_path))
    with pytest.raises(UsageError, match="its folder is not there"):
        check_output(str(tmp_path / "none" / "out"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's device that is always full")
def test_a_full_disk_is_a_failure_and_not_wrong_usage():
    with pytest.raises(VocError, match="No space left on device") as caught:
        write_json_lines([{"a": 1}], "/dev/full")

    assert not isinstance(caught.value, UsageError)
