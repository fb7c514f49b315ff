"""Reading event logs: every format gives the same events, and what is wrong is named."""

import gzip
import io
import json
import sqlite3
from datetime import UTC, datetime

import polars as pl
import pytest

from voc.errors import LogError, UsageError
from voc.process.logs import read_log

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROWS = [
    ("1", "register", "2026-03-02T09:00:00+01:00", "ann"),
    ("1", "assess", "2026-03-02T10:30:00+01:00", "bob"),
    ("2", "register", "2026-03-03T09:00:00.250+01:00", "ann"),
]


def csv(rows, header="case_id,activity,timestamp,resource") -> bytes:
    return "\n".join([header, *(",".join(row) for row in rows)]).encode()


def read(data: bytes, **options):
    return read_log(data, now=NOW, name="log", **options)


def times(*texts: str) -> list[datetime]:
    log = read(csv([(str(at), "a", text) for at, text in enumerate(texts)], "case_id,activity,timestamp"))
    return log.events["timestamp"].to_list()


def xes() -> bytes:
    def event(name, time, resource):
        return (
            f'<event><string key="concept:name" value="{name}"/><date key="time:timestamp" value="{time}"/>'
            f'<string key="org:resource" value="{resource}"/><int key="cost" value="3"/></event>'
        )

    traces = "".join(
        f'<trace><string key="concept:name" value="{case}"/><string key="channel" value="web"/>'
        + "".join(event(*row[1:]) for row in ROWS if row[0] == case)
        + "</trace>"
        for case in ("1", "2")
    )
    scope = '<global scope="event"><string key="concept:name" value="name"/></global>'
    return f'<?xml version="1.0"?><log xmlns="http://www.xes-standard.org/">{scope}{traces}</log>'.encode()


def ocel_events():
    return [
        (f"e{at}", activity, time, resource, [f"o{case}", "i1"])
        for at, (case, activity, time, resource) in enumerate(ROWS)
    ]


def ocel_json() -> bytes:
    return json.dumps(
        {
            "objectTypes": [{"name": "order"}, {"name": "item"}],
            "eventTypes": [],
            "objects": [
                {"id": "o1", "type": "order"},
                {"id": "o2", "type": "order"},
                {"id": "i1", "type": "item"},
            ],
            "events": [
                {
                    "id": one,
                    "type": activity,
                    "time": time,
                    "attributes": [{"name": "resource", "value": resource}],
                    "relationships": [{"objectId": other, "qualifier": ""} for other in related],
                }
                for one, activity, time, resource, related in ocel_events()
            ],
        }
    ).encode()


def ocel_xml() -> bytes:
    events = "".join(
        f'<event id="{one}" type="{activity}" time="{time}">'
        f'<attributes><attribute name="resource">{resource}</attribute></attributes><objects>'
        + "".join(f'<relationship object-id="{other}" qualifier=""/>' for other in related)
        + "</objects></event>"
        for one, activity, time, resource, related in ocel_events()
    )
    objects = '<object id="o1" type="order"/><object id="o2" type="order"/><object id="i1" type="item"/>'
    return (
        f'<log><object-types><object-type name="order"/></object-types><event-types/>'
        f"<objects>{objects}</objects><events>{events}</events></log>"
    ).encode()


def ocel_sqlite(path) -> bytes:
    db = sqlite3.connect(path)
    db.executescript(
        "CREATE TABLE object (ocel_id, ocel_type);"
        "CREATE TABLE event (ocel_id, ocel_type);"
        "CREATE TABLE event_object (ocel_event_id, ocel_object_id, ocel_qualifier);"
        "CREATE TABLE event_map_type (ocel_type, ocel_type_map);"
        "INSERT INTO object VALUES ('o1','order'),('o2','order'),('i1','item');"
        "INSERT INTO event_map_type VALUES ('register','Register'),('assess','Assess');"
        "CREATE TABLE event_Register (ocel_id, ocel_time, resource);"
        "CREATE TABLE event_Assess (ocel_id, ocel_time, resource);"
    )
    for one, activity, time, resource, related in ocel_events():
        db.execute("INSERT INTO event VALUES (?, ?)", (one, activity))
        db.execute(f"INSERT INTO event_{activity.title()} VALUES (?, ?, ?)", (one, time, resource))
        db.executemany("INSERT INTO event_object VALUES (?, ?, '')", [(one, other) for other in related])
    db.commit()
    db.close()
    return path.read_bytes()


def core(log):
    return log.events.select("case_id", "activity", "timestamp", "resource", "position").rows()


def test_every_table_format_gives_the_same_events():
    expected = core(read(csv(ROWS)))
    frame = pl.DataFrame(ROWS, schema=["case_id", "activity", "timestamp", "resource"], orient="row")
    parquet = io.BytesIO()
    frame.write_parquet(parquet)
    assert core(read(gzip.compress(csv(ROWS)))) == expected
    assert core(read(frame.write_ndjson().encode())) == expected
    assert core(read(parquet.getvalue())) == expected
    assert expected[0] == ("1", "register", datetime(2026, 3, 2, 8, tzinfo=UTC), "ann", 0)


def test_xes_gives_the_events_and_keeps_attributes_of_event_and_case():
    log = read(gzip.compress(xes()))
    assert core(log) == core(read(csv(ROWS)))
    assert json.loads(log.events["attributes"][0]) == {"cost": 3, "case": {"channel": "web"}}
    assert json.loads(log.events["attributes"][1]) == {"cost": 3}


def test_ocel_is_flattened_by_the_named_type_of_object(tmp_path):
    orders = [("o" + row[0], *row[1:]) for row in core(read(csv(ROWS)))]
    for data in (ocel_json(), ocel_xml(), ocel_sqlite(tmp_path / "log.sqlite")):
        assert core(read(data, object_type="order")) == orders
        (item,) = read(data, object_type="item").events["case_id"].unique()
        assert item == "i1"


def test_ocel_without_a_type_lists_the_types():
    with pytest.raises(LogError, match="the types are item, order; name one"):
        read(ocel_json())
    with pytest.raises(LogError, match="has no 'claim'"):
        read(ocel_json(), object_type="claim")


def test_xml_entities_are_refused():
    bomb = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aa">]><log><trace>&a;</trace></log>'
    with pytest.raises(LogError, match="entities or a DTD"):
        read(bomb)


def test_times_come_with_offset_z_no_zone_or_no_clock():
    assert times("2026-03-02T09:00:00+01:00", "2026-03-02T09:00:00.5Z", "2026-03-02 09:00:00+0230") == [
        datetime(2026, 3, 2, 8, tzinfo=UTC),
        datetime(2026, 3, 2, 9, 0, 0, 500_000, tzinfo=UTC),
        datetime(2026, 3, 2, 6, 30, tzinfo=UTC),
    ]
    assert times("2026-03-02 09:00", "2026-03-02") == [
        datetime(2026, 3, 2, 9, tzinfo=UTC),
        datetime(2026, 3, 2, tzinfo=UTC),
    ]


def test_events_out_of_order_are_sorted_and_ties_keep_the_order_of_the_file():
    rows = [
        ("1", "c", "2026-03-02T10:00:00Z"),
        ("2", "x", "2026-03-01T10:00:00Z"),
        ("1", "a", "2026-03-02T09:00:00Z"),
        ("1", "b", "2026-03-02T09:00:00Z"),
    ]
    log = read(csv(rows, "case_id,activity,timestamp"))
    assert log.events.select("case_id", "activity", "position").rows() == [
        ("1", "a", 0), ("1", "b", 1), ("1", "c", 2), ("2", "x", 0),
    ]  # fmt: skip
    assert log.n_moved == 3


def test_exact_repeats_are_left_out_and_counted_but_not_without_times():
    assert read(csv([*ROWS, ROWS[0]])).n_duplicates == 1
    untimed = read(csv([("1", "a"), ("1", "a")], "case_id,activity"))
    assert (untimed.n_duplicates, untimed.events.height, untimed.has_times) == (0, 2, False)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "log: is empty"),
        (b"case_id,activity\n", "has a header but no events"),
        (b"id,activity\n1,a\n", "field 'case_id': column is missing; the columns are id, activity"),
        (b"case_id,activity\n1,a\n,b\n", "row 2, field 'case_id': is empty; fill it in"),
        (b"case_id,activity\n1,a\n1,\n", "row 2, field 'activity': is empty"),
        (
            b"case_id,activity,timestamp\n1,a,2026-01-01\n1,b,soon\n",
            "row 2, field 'timestamp': 'soon' is not",
        ),
        (b"case_id,activity,timestamp\n1,a,2026-02-30\n", "row 1, field 'timestamp': '2026-02-30' is no day"),
        (b"case_id,activity,timestamp\n1,a,2031-01-01\n", "row 1, field 'timestamp': lies in the future"),
        (b"case_id,activity,timestamp\n1,a,2026-01-01\n1,b,\n", "row 2, field 'timestamp': is empty while"),
        (
            b"case_id,activity,timestamp\n1,a,2026-01-01T10:00:00Z\n1,b,2026-01-01T10:00:00\n",
            "row 2, field 'timestamp': '2026-01-01T10:00:00' has no zone and other rows do the opposite; give",
        ),
        (b"case_id,activity\n1,a\n1,a,3\n", "row 2: has 3 fields, the header 2"),
        (b'case_id,activity\n1,a\n\n1,"pay', "row 2: has a quote that never closes"),
        (b"case_id,activity\n1,caf\xe9\n", "row 1: is not UTF-8 (byte 0xe9); save it as UTF-8"),
        (b'{"case_id": 1}\n{"case_id": }\n', "row 2: is not JSON"),
        (b"case_id,activity\n\n1,a\n\n1,\n", "row 2, field 'activity': is empty"),
        (b"case_id;activity\n1;a\n", "separated by ';': save it with commas"),
        ("case_id,activity\n1,a\n".encode("utf-16"), "is UTF-16, not UTF-8; save it as UTF-8"),
        (b"PK\x03\x04 and more", "is not CSV, JSON Lines or Parquet"),
        (b"\x1f\x8bnot gzip", "is not a whole gzip file"),
        (b"<log><trace>", "is not well-formed XML"),
        (b"<log><trace><event/></trace></log>", "trace 1 has no case id"),
        (b'{"objectTypes": [], "events": []}', "is not OCEL 2.0 json"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(data, message):
    with pytest.raises(LogError) as error:
        read(data)
    assert message in str(error.value)


def test_a_log_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="cannot be opened"):
        read_log(tmp_path / "none.csv")
