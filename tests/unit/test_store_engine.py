"""Opening the database: URLs, versions and errors, without a server."""

import psycopg
import pytest
from sqlalchemy import make_url

from voc.errors import StoreError
from voc.store.engine import check_version, connect, parse_url, place, store_error

URL = make_url("postgresql+psycopg://ann:s3cret@db.example:5433/voc")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_each_form_of_url_gets_our_driver(scheme):
    url = parse_url(f" {scheme}://ann:s3cret@db.example:5433/voc?sslmode=require\n")

    assert url.drivername == "postgresql+psycopg"
    assert (url.username, url.password, url.host, url.port) == ("ann", "s3cret", "db.example", 5433)
    assert url.query["sslmode"] == "require"


@pytest.mark.parametrize(
    "url", ["mysql://ann:s3cret@db/voc", "sqlite:///s3cret.db", "s3cret", "http://s3cret:x"]
)
def test_another_url_is_refused_without_showing_it(url):
    with pytest.raises(StoreError, match="postgresql://") as caught:
        parse_url(url)

    assert "s3cret" not in str(caught.value)


def test_a_server_before_15_is_refused_with_its_version():
    with pytest.raises(StoreError, match=r"db\.example:5433/voc is PostgreSQL 14; .* 15 or newer"):
        check_version(140012, URL)

    check_version(150000, URL)


def test_a_database_that_is_down_names_host_port_and_remedy_but_no_password():
    with pytest.raises(StoreError) as caught:
        connect("postgresql://ann:s3cret@127.0.0.1:1/voc")

    message = str(caught.value)
    assert "127.0.0.1:1/voc" in message
    assert "Connection refused" in message
    assert "VOC_DATABASE_URL" in message
    assert "s3cret" not in message
    assert "\n" not in message


def test_no_database_at_all_names_the_two_settings():
    with pytest.raises(StoreError, match="VOC_DATABASE_URL or VOC_HOME"):
        connect(None, None)


def test_an_error_of_the_server_names_its_state_and_remedy():
    error = store_error(psycopg.errors.UndefinedTable("relation holds a secret"), URL)

    assert str(error) == (
        "the database at db.example:5433/voc refuses (UndefinedTable, SQLSTATE 42P01); run `voc db upgrade`"
    )


def test_a_broken_connection_is_told_apart_from_a_refusal():
    error = store_error(psycopg.OperationalError("connection failed: FATAL: password s3cret is wrong"), URL)

    assert str(error).startswith("no database answers at db.example:5433/voc (password *** is wrong)")


def test_the_place_of_an_embedded_database_is_its_folder():
    assert place(make_url("postgresql+psycopg://voc@/voc?host=/srv/pg&port=5432")) == "/srv/pg:5432/voc"
