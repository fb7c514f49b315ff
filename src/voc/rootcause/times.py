"""Times of a column (ISO 8601 text, dates, timestamps) as UTC; names the row that cannot be read."""

import polars as pl

from voc.errors import InputError

_ZONE = r"(?i)(z|[+-]\d{2}:?\d{2})$"
_NO_SECONDS = r"(?i)([T ]\d{2}:\d{2})(z|[+-]\d{2}:?\d{2})$"
_PLAIN_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")


def to_utc(values: pl.Series, *, file: str | None = None, required: bool = True) -> pl.Series:
    """The times as UTC; times without a zone are taken as UTC; dates as their midnight.

    Raises
    ------
    InputError
        A value cannot be read, is missing where `required`, or some have a zone and others none.
    """
    given = values
    if values.dtype == pl.String:
        given = values.str.strip_chars().replace("", None)
        times = _from_text(given, file)
    elif isinstance(values.dtype, pl.Datetime):
        zone = values.dtype.time_zone
        times = values.cast(pl.Datetime("us", zone))
        times = times.dt.convert_time_zone("UTC") if zone else times.dt.replace_time_zone("UTC")
    elif values.dtype in (pl.Date, pl.Null):
        times = values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    else:
        remedy = "write times as ISO 8601 text"
        raise InputError(f"holds {values.dtype}, not times", file=file, field=values.name, remedy=remedy)
    bad = times.is_null() if required else times.is_null() & given.is_not_null()
    if bad.any():
        row = int(bad.arg_true()[0])
        seen = "is empty" if given[row] is None else "is not an ISO 8601 time"
        raise InputError(
            f"{seen} ({int(bad.sum())} such rows)",
            file=file,
            row=row + 1,
            field=values.name,
            remedy="write e.g. 2024-05-01T09:30:00Z or 2024-05-01",
        )
    return times.alias(values.name)


def _from_text(text: pl.Series, file: str | None) -> pl.Series:
    """Times of ISO 8601 text, null where it is none; refuses a mix of zoned and plain ones."""
    zoned = text.str.contains(r"\d[T ]\d") & text.str.contains(_ZONE)
    if not zoned.any():
        plain = text.str.replace("T", " ")
        times = pl.Series(text.name, [None] * len(text), dtype=pl.Datetime("us"))
        for form in _PLAIN_FORMATS:
            times = times.fill_null(plain.str.to_datetime(form, time_unit="us", strict=False))
        return times.dt.replace_time_zone("UTC")
    if not zoned.all():
        row = int((zoned != zoned.drop_nulls()[0]).arg_true()[0]) + 1
        raise InputError(
            "mixes times with and without a zone",
            file=file,
            row=row,
            field=text.name,
            remedy="write every time with its offset, e.g. 2024-05-01T09:30:00Z",
        )
    whole = (
        text.str.replace(_NO_SECONDS, "${1}:00${2}").str.replace(" ", "T").str.replace(r"(?i)z$", "+00:00")
    )
    return whole.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
