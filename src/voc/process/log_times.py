"""Times of an event log: text, dates or timestamps in, UTC timestamps out, or an error that names the row."""

from datetime import datetime, timedelta

import polars as pl

from voc.errors import LogError

TIME = pl.Datetime("us", "UTC")
CLOCK_SKEW = timedelta(days=1)  # a zone taken as UTC may seem up to 14 h ahead

_ZONED = r"T.*(?:Z|[+-]\d{2}(?::?\d{2})?)$"
_SHAPE = r"^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?$"
_EXAMPLE = "write ISO 8601, for example 2026-03-01T09:30:00+01:00"


def parse_times(values: pl.Series, *, file: str | None, now: datetime, remedy: str = _EXAMPLE) -> pl.Series:
    """UTC timestamps of `values`, in order; all null where the log has no times at all.

    ISO 8601 with an offset, with `Z` or without a zone (taken as UTC), or a date alone (its midnight).

    Raises
    ------
    LogError
        A value cannot be read, only some rows have a time, zoned and unzoned rows are mixed, or a
        time lies more than a day after `now`.
    """
    kind = values.dtype
    if kind == pl.Null:
        return values.cast(TIME)
    if kind == pl.Date:
        times = values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    elif isinstance(kind, pl.Datetime):
        times = values.dt.cast_time_unit("us")
        times = times.dt.convert_time_zone("UTC") if kind.time_zone else times.dt.replace_time_zone("UTC")
    elif kind == pl.String:
        times = _parse_text(values, file)
    else:
        raise LogError(f"holds {kind}, not a time", file=file, row=1, field=values.name, remedy=remedy)
    if (missing := times.is_null()).any() and not missing.all():
        raise LogError(
            "is empty while other rows have a time",
            file=file,
            row=_first(missing),
            field=values.name,
            remedy="fill it in, or drop the column: then the order of the rows counts",
        )
    if (late := (times > now + CLOCK_SKEW).fill_null(value=False)).any():
        raise LogError(
            f"lies in the future ({times[_first(late) - 1]:%Y-%m-%d %H:%M} UTC)",
            file=file,
            row=_first(late),
            field=values.name,
            remedy="correct the time or the clock of the source",
        )
    return times.rename(values.name)


def _parse_text(values: pl.Series, file: str | None) -> pl.Series:
    frame = pl.DataFrame({"t": values}).select(
        pl.col("t").str.strip_chars().str.replace(r"^(\d{4}-\d{2}-\d{2})[ t]+", "${1}T")
    )
    text = frame["t"].set(frame["t"] == "", None)
    if text.null_count() == text.len():
        return text.cast(TIME)
    # Logs nearly always keep one shape; try the two usual ones before the general way.
    for shape in ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f"):
        times = text.str.to_datetime(shape, time_unit="us", strict=False)
        if times.null_count() == text.null_count():
            zoned = isinstance(times.dtype, pl.Datetime) and times.dtype.time_zone is not None
            return times if zoned else times.dt.replace_time_zone("UTC")
    bad = ~text.str.contains(_SHAPE).fill_null(value=True)
    if bad.any():
        raise LogError(
            f"'{text[_first(bad) - 1][:40]}' is not a time",
            file=file,
            row=_first(bad),
            field=values.name,
            remedy=_EXAMPLE,
        )
    zoned_rows = text.str.contains(_ZONED).fill_null(value=False)
    unzoned_rows = ~zoned_rows & text.is_not_null()
    if zoned_rows.any() and unzoned_rows.any():
        few = unzoned_rows if zoned_rows.sum() >= unzoned_rows.sum() else zoned_rows
        raise LogError(
            f"'{text[_first(few) - 1]}' {'has no zone' if few is unzoned_rows else 'has a zone'} "
            "and other rows do the opposite",
            file=file,
            row=_first(few),
            field=values.name,
            remedy="give every row a zone (+01:00 or Z), or none",
        )
    times = _general(text, zoned=bool(zoned_rows.any()))
    if (bad := times.is_null() & text.is_not_null()).any():
        raise LogError(
            f"'{text[_first(bad) - 1]}' is no day or time of the calendar",
            file=file,
            row=_first(bad),
            field=values.name,
            remedy=_EXAMPLE,
        )
    return times


def _general(text: pl.Series, *, zoned: bool) -> pl.Series:
    """Bring every ISO shape to one (seconds, offset with a colon) and parse that."""
    full = pl.DataFrame({"t": text}).select(
        pl.when(pl.col("t").str.contains("T"))
        .then(pl.col("t"))
        .otherwise(pl.col("t") + "T00:00:00")
        .str.replace(r"T(\d{2}:\d{2})($|Z|[+-])", "T${1}:00${2}")
        .str.replace(r"Z$", "+00:00")
        .str.replace(r"(:\d{2}(?:\.\d+)?[+-]\d{2})(\d{2})$", "${1}:${2}")
        .str.replace(r"(:\d{2}(?:\.\d+)?[+-]\d{2})$", "${1}:00")
    )["t"]
    if zoned:
        return full.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False)
    unzoned = full.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    return unzoned.dt.replace_time_zone("UTC")


def _first(flags: pl.Series) -> int:
    """Row (counted from 1) of the first true value."""
    index = flags.arg_true()[0]
    return int(index) + 1
