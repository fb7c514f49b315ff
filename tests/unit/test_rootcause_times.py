"""Times of a column to UTC."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from voc.errors import InputError
from voc.rootcause.times import to_utc

NINE = datetime(2024, 5, 1, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-01T09:30:00Z",
        "2024-05-01T09:30:00.000Z",
        "2024-05-01T09:30:00+00:00",
        "2024-05-01 09:30:00+00:00",
        "2024-05-01T11:30:00+02:00",
        "2024-05-01 11:30:00.000000+02:00",
        "2024-05-01T11:30:00+0200",
        "2024-05-01T09:30Z",
        "2024-05-01 09:30:00",
        "2024-05-01T09:30:00",
        "2024-05-01T09:30",
        " 2024-05-01 09:30:00 ",
    ],
)
def test_iso_times_are_read(text):
    assert to_utc(pl.Series("t", [text])).to_list() == [NINE]


def test_a_date_is_its_midnight():
    midnight = datetime(2024, 5, 1, tzinfo=UTC)

    assert to_utc(pl.Series("t", ["2024-05-01"])).to_list() == [midnight]
    assert to_utc(pl.Series("t", [date(2024, 5, 1)])).to_list() == [midnight]


def test_typed_times_are_converted():
    assert to_utc(pl.Series("t", [datetime(2024, 5, 1, 9, 30)])).to_list() == [NINE]  # noqa: DTZ001
    paris = pl.Series("t", [NINE]).dt.convert_time_zone("Europe/Paris")
    assert to_utc(paris).to_list() == [NINE]


def test_an_empty_time_is_refused_only_where_required():
    series = pl.Series("t", ["2024-05-01", None, ""])

    assert to_utc(series, required=False).null_count() == 2
    with pytest.raises(InputError, match="row 2"):
        to_utc(series)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (["2024-05-01", "01/05/2024"], "row 2"),
        (["2024-05-01T09:30:00Z", "2024-05-01T09:30:00"], "mixes"),
        ([1714555800, 1714555801], "not times"),
    ],
)
def test_what_cannot_be_read_is_refused(values, says):
    with pytest.raises(InputError, match=says):
        to_utc(pl.Series("t", values), file="f.csv")
