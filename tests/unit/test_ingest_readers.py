"""Files become raw rows; what is broken is set aside by row, and reading goes on."""

import contextlib
import gzip
import io
import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voc.errors import InputError, UsageError
from voc.ingest import csv_rows, lines
from voc.ingest.quarantine import BadRow
from voc.ingest.readers import ReaderState, read_rows
from voc.ingest.rules import FormatHint


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return path


def good(rows):
    return [row for _, row in rows if not isinstance(row, BadRow)]


def bad(rows):
    return [(n, row.reason) for n, row in rows if isinstance(row, BadRow)]


TABLE = [{"id": "1", "text": "Größe"}, {"id": "2", "text": 'line\nbreak, "quoted"'}]
CSV = 'id,text\n1,Größe\n2,"line\nbreak, ""quoted"""\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("zipped", [False, True])
def test_csv_is_read_in_any_encoding_gzipped_or_not(tmp_path, encoding, zipped):
    data = CSV.encode(encoding)
    path = write(tmp_path, "a.csv", gzip.compress(data) if zipped else data)

    assert list(read_rows(path)) == [(1, TABLE[0]), (2, TABLE[1])]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_json_lines_are_read_in_any_encoding(tmp_path, encoding):
    data = "\n".join(json.dumps(row, ensure_ascii=False) for row in TABLE).encode(encoding)

    assert good(read_rows(write(tmp_path, "a.jsonl", data))) == TABLE


def test_parquet_is_read(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame(TABLE).write_parquet(path)
    state = ReaderState()

    assert good(read_rows(path, state=state)) == TABLE
    assert (state.done, state.total) == (2, 2)


def test_the_format_is_told_from_content_where_the_name_says_nothing(tmp_path):
    assert good(read_rows(write(tmp_path, "a", '{"id": 1}\n'))) == [{"id": 1}]
    assert good(read_rows(write(tmp_path, "b", "id\n1\n"))) == [{"id": "1"}]


def test_stdin_is_read(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(CSV.encode("utf-8"))))

    assert good(read_rows("-")) == TABLE


def test_lines_of_another_encoding_are_counted(tmp_path):
    state = ReaderState()
    data = "id,text\n1,Größe\n".encode() + "2,Größe\n".encode("cp1252")

    assert [row["text"] for row in good(read_rows(write(tmp_path, "a.csv", data), state=state))] == [
        "Größe"
    ] * 2
    assert state.lines_not_utf8 == 1


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a"])
@pytest.mark.parametrize("data", [b"", b"  \n\r\n ", b"\xef\xbb\xbf", gzip.compress(b"")])
def test_an_empty_file_is_refused_at_once(tmp_path, name, data):
    with pytest.raises(InputError, match="is empty"):
        read_rows(write(tmp_path, name, data))


def test_a_header_without_rows_is_refused(tmp_path):
    with pytest.raises(InputError, match="a header and no rows"):
        read_rows(write(tmp_path, "a.csv", "id,text\n"))


@pytest.mark.parametrize(
    ("name", "data"), [("a.csv", "id,body\n1,x\n"), ("a.jsonl", '{"id": 1, "body": "x"}\n')]
)
def test_a_missing_column_is_named_at_once_with_those_there_are(tmp_path, name, data):
    with pytest.raises(InputError, match=r"field 'text'.*id, body.*optional: true"):
        read_rows(write(tmp_path, name, data), needed=[("id",), ("text",)])


def test_a_missing_parquet_column_is_named(tmp_path):
    pl.DataFrame({"id": [1]}).write_parquet(tmp_path / "a.parquet")

    with pytest.raises(InputError, match=r"field 'text'"):
        read_rows(tmp_path / "a.parquet", needed=[("text",)])


def test_the_wrong_separator_is_pointed_out(tmp_path):
    with pytest.raises(InputError, match=r"separated by ';': set format\.delimiter"):
        read_rows(write(tmp_path, "a.csv", "id;text\n1;x\n"), needed=[("text",)])

    rows = read_rows(
        write(tmp_path, "a.csv", "id;text\n1;x\n"), FormatHint(delimiter=";"), needed=[("text",)]
    )
    assert good(rows) == [{"id": "1", "text": "x"}]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.csv", b"id,id\n1,2\n", "twice"),
        ("a.csv", b"id,text\r1,a\r2,b\r", "carriage return"),
        ("a.json", b'[{"id": 1}]', "not JSON Lines"),
        ("a.xlsx", b"PK\x03\x04....", "not CSV"),
        ("a.parquet", b"PAR1 and no more", "not a whole Parquet"),
        ("a.csv", b"\x1f\x8b and no more", "not a whole gzip"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path, name, data, words):
    with pytest.raises(InputError, match=words) as caught:
        list(read_rows(write(tmp_path, name, data)))
    assert name in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "gone.csv", tmp_path):
        with pytest.raises(UsageError, match="cannot be opened"):
            read_rows(path)


@pytest.mark.parametrize("content", [b"PK\x03\x04 a customer's words", b"PAR1 a customer's words"])
def test_what_a_mapping_says_of_the_format_does_not_overrule_a_files_signature(tmp_path, content):
    with pytest.raises(InputError, match=r"is not CSV|is parquet, not csv") as caught:
        read_rows(write(tmp_path, "a.csv", content), FormatHint(type="csv"), needed=[("id",)])

    assert "words" not in str(caught.value)


def test_a_gzip_file_that_breaks_off_is_an_error_and_not_a_short_file(tmp_path):
    data = gzip.compress(b"n,square\n" + "".join(f"{i},{i * i}\n" for i in range(100_000)).encode())

    with pytest.raises(InputError, match="not a whole gzip"):
        list(read_rows(write(tmp_path, "a.csv.gz", data[: len(data) // 2])))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "is not JSON"),
        ("[1]", "not an object"),
        ("12", "not an object"),
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
        ('{"n": ' + "9" * 5000 + "}", "too many digits"),
    ],
)
def test_a_malformed_json_line_is_set_aside_with_its_text(tmp_path, line, reason):
    path = write(tmp_path, "a.jsonl", f'{{"id": 1}}\n{line}\n\n{{"id": 3}}\n')

    rows = list(read_rows(path))

    assert [n for n, _ in rows] == [1, 2, 3]
    assert reason in rows[1][1].reason
    assert rows[1][1].raw == {"_line": line}


def test_nan_in_json_is_read_as_missing(tmp_path):
    assert good(read_rows(write(tmp_path, "a.jsonl", '{"x": NaN, "y": -Infinity}\n'))) == [
        {"x": None, "y": None}
    ]


def test_a_row_of_the_wrong_width_is_set_aside(tmp_path):
    rows = list(read_rows(write(tmp_path, "a.csv", "id,text\n1,a,b\n2\n3,c\n4,d,,\n")))

    assert bad(rows) == [(1, "has 3 fields, the header has 2"), (2, "has 1 fields, the header has 2")]
    assert good(rows) == [{"id": "3", "text": "c"}, {"id": "4", "text": "d"}]


def test_an_unclosed_quote_costs_one_row_and_not_the_file(tmp_path):
    body = "".join(f"{i},text {i}\n" for i in range(5, 200))
    rows = list(read_rows(write(tmp_path, "a.csv", f'id,text\n1,"fine"\n2,"never closed\n3,c\n4,d\n{body}')))

    assert bad(rows) == [(2, "has a quote that never closes")]
    assert rows[1][1].raw == {"_line": '2,"never closed', "_columns": ["id", "text"]}
    assert len(good(rows)) == 198


def test_a_quote_in_the_middle_of_a_quoted_field_is_set_aside_and_not_guessed(tmp_path):
    rows = list(read_rows(write(tmp_path, "a.csv", 'id,text\n1,"he said "no" twice"\n2,"b"\n3,5" pipe\n')))

    assert [n for n, _ in bad(rows)] == [1]
    assert good(rows) == [{"id": "2", "text": "b"}, {"id": "3", "text": '5" pipe'}]


def test_a_line_over_the_limit_is_set_aside_and_its_size_said(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE", 100)
    monkeypatch.setattr(csv_rows, "MAX_LINE", 100)
    data = "id,text\n1,a\n2," + "x" * 500 + "\n3,c\n"

    for encoded in (data.encode(), data.encode("utf-16")):
        rows = list(read_rows(write(tmp_path, "a.csv", encoded)))
        assert bad(rows) == [(2, "line is 503 bytes; the limit is 100")]
        assert [row["id"] for row in good(rows)] == ["1", "3"]


def test_a_record_over_the_limit_gives_back_the_lines_after_its_first(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_rows, "MAX_LINE", 100)
    body = "".join(f"{i},text\n" for i in range(2, 50))

    rows = list(read_rows(write(tmp_path, "a.csv", f'id,text\n1,"open\n{body}')))

    assert [n for n, _ in bad(rows)] == [1]
    assert len(good(rows)) == 48


def test_a_file_of_unclosed_quotes_is_read_in_linear_steps(tmp_path):
    data = "id,text\n" + "".join(f'{i},"open {i}\n' for i in range(2000))

    assert len(bad(read_rows(write(tmp_path, "a.csv", data)))) == 2000


cells = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=20)


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=10))
def test_every_written_csv_row_comes_back(rows, tmp_path_factory):
    table = pl.DataFrame({"a": [a for a, _ in rows], "b": ["x" + b for _, b in rows]})
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    table.write_csv(path)

    assert good(read_rows(path)) == table.to_dicts()


@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=300), name=st.sampled_from(["a.csv", "a.jsonl", "a.parquet", "a", "a.csv.gz"]))
def test_random_bytes_give_rows_or_an_input_error(data, name, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(data)

    numbers = []
    with contextlib.suppress(InputError):  # no other error may come
        numbers = [n for n, _ in read_rows(path)]
    assert numbers == list(range(1, len(numbers) + 1))
