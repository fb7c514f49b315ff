"""What the store works out before it writes: text hashes, moves, the place of an embedded server's socket."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voc.errors import StoreError
from voc.store.embedded import SOCKET_PATH_MAX, _socket_dir
from voc.store.feedback import Inserted, text_hash
from voc.store.moves import moved
from voc.store.rootcauses import process_name
from voc.store.scores import split_model


@given(st.text())
def test_case_and_blanks_do_not_change_a_text_hash(words):
    assert text_hash(words) == text_hash(f"  {words}\n") == text_hash(words.replace(" ", "\t "))
    assert text_hash(words.casefold()) == text_hash(words)
    assert len(text_hash(words)) == 16


def test_other_words_change_a_text_hash():
    assert text_hash("it came late") != text_hash("it never came")


def test_half_a_surrogate_pair_has_a_text_hash_too():
    assert len(text_hash("\ud83d")) == 16


@given(st.dictionaries(st.sampled_from("abc"), st.floats() | st.integers() | st.none() | st.text()))
def test_nothing_moves_between_equals(values):
    assert moved(values, dict(values), "abc") == {}


def test_a_move_holds_both_values_as_json_can():
    when = datetime(2026, 3, 1, tzinfo=UTC)

    assert moved({"a": 1.0, "b": None, "c": "x"}, {"a": float("inf"), "b": when, "c": "x"}, "abc") == {
        "a": (1.0, "inf"),
        "b": (None, "2026-03-01T00:00:00+00:00"),
    }


def test_rounding_is_no_move():
    assert moved({"a": 0.1 + 0.2}, {"a": 0.3}, "a") == {}


def test_batches_add_up():
    assert Inserted(3, 2, 1, 1) + Inserted(1, 0, 4) == Inserted(4, 2, 5, 1)


@pytest.mark.parametrize("model", ["name", "name/", "/1", ""])
def test_a_model_needs_name_and_version(model):
    with pytest.raises(StoreError, match="write name/version"):
        split_model(model)


def test_a_process_may_come_with_its_version():
    assert process_name("refund@3") == ("refund", "3")
    assert process_name("refund") == ("refund", None)


def test_a_socket_lies_with_the_data_where_its_path_is_short():
    assert _socket_dir(Path("/srv/voc/pg/data"), None) == Path("/srv/voc/pg/data")


def test_a_long_path_gets_a_short_private_socket_folder_that_is_always_the_same():
    data = Path("/" + "long/" * 30)
    folder = _socket_dir(data, None)

    assert folder == _socket_dir(data, None)
    assert folder.stat().st_mode & 0o077 == 0
    assert len(str(folder)) < SOCKET_PATH_MAX
    folder.chmod(0o755)
    with pytest.raises(StoreError, match="belongs to someone else"):
        _socket_dir(data, None)
    folder.rmdir()
