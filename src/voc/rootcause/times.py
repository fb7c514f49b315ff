"""Times of a column (ISO 8601 text, dates, timestamps) as UTC; names the row that cannot be read."""

import polars as pl

from voc.errors import InputError

_ZONED = r"(?i)(?:z|[+-]\d{2}:?\d{2})$"
UTC = pl.Datetime("us", "UTC")


def to_utc(values: pl.Series, *, file: str | None = None, required: bool = True) -> pl.Series:
    """The times as UTC; times without a zone are taken as UTC; dates as their midnight.

    Raises
    ------
    InputError
        A value cannot be read, is missing where `required`, or some have a zone and others none.
    """
    name = values.name
    if values.dtype == pl.String:
        text = values.str.strip_chars().replace("", None)
        zoned = text.str.contains(r"\d[T ]\d") & text.str.contains(_ZONED)
        if zoned.any() and not zoned.all() and (~zoned).any():
            row = int((zoned != zoned.drop_nulls()[0]).arg_true()[0]) + 1
            raise InputError(
                "mixes times with and without a zone",
                file=file,
                row=row,
                field=name,
                remedy="write every time with its offset, e.g. 2024-05-01T09:30:00Z",
            )
        plain = text.str.replace(_ZONED, "") if not zoned.any() else text
        if zoned.any():
            times = plain.str.to_datetime(time_unit="us", time_zone="UTC", strict=False, format="%+")
            spaced = plain.str.replace(" ", "T").str.replace(r"(?i)z$", "+00:00")
            times = times.fill_null(
                spaced.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
            )
        else:
            iso = plain.str.replace("T", " ")
            times = pl.Series(name, [None] * len(values), dtype=pl.Datetime("us"))
            for form in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
                times = times.fill_null(iso.str.to_datetime(form, time_unit="us", strict=False))
            times = times.dt.replace_time_zone("UTC")
    elif isinstance(values.dtype, pl.Datetime):
        text = values
        times = values.cast(pl.Datetime("us", values.dtype.time_zone))
        zone = values.dtype.time_zone
        times = times.dt.convert_time_zone("UTC") if zone else times.dt.replace_time_zone("UTC")
    elif values.dtype in (pl.Date, pl.Null):
        text, times = values, values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    else:
        raise InputError(
            f"holds {values.dtype}, not times", file=file, field=name, remedy="write times as ISO 8601 text"
        )
    bad = times.is_null() if required else times.is_null() & text.is_not_null()
    if bad.any():
        row = int(bad.arg_true()[0]) + 1
        seen = "is empty" if text[row - 1] is None else "is not an ISO 8601 time"
        raise InputError(
            f"{seen} ({int(bad.sum())} such rows)",
            file=file,
            row=row,
            field=name,
            remedy="write e.g. 2024-05-01T09:30:00Z or 2024-05-01",
        )
    return times.alias(name)
