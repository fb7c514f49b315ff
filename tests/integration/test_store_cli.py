"""`voc db` on a real database."""

import json

import pytest
import typer
from typer.testing import CliRunner

from voc.cli import db
from voc.cli.database import home_folder, open_store
from voc.errors import StoreError
from voc.store.schema import status


@pytest.fixture
def run():
    app = typer.Typer()
    db.register(app)
    return lambda *arguments: CliRunner().invoke(app, ["db", *arguments], catch_exceptions=False)


@pytest.fixture
def empty_url(empty_store, monkeypatch) -> str:
    url = empty_store.url.set(drivername="postgresql").render_as_string()
    monkeypatch.setenv("VOC_DATABASE_URL", url)
    return url


def test_status_then_upgrade_then_upgrade_again(run, empty_url):
    assert "run `voc db upgrade`" in run("status").stdout
    assert "upgraded from empty to" in run("upgrade").stdout
    assert "up to date" in run("upgrade").stdout
    assert "pending   none" in run("status").stdout


def test_status_as_json_holds_all_of_it(run, empty_url):
    found = json.loads(run("status", "--json").stdout)

    assert found["current"] is None
    assert found["pending"][-1] == found["head"]
    assert found["ready"] is False
    assert "test_" in found["database"]


def test_a_database_of_the_users_is_not_upgraded_unasked(empty_url, empty_store):
    with pytest.raises(StoreError, match="run `voc db upgrade`"):
        open_store()

    assert status(empty_store).current is None


def test_the_embedded_database_is_brought_up_to_date_by_itself(server, monkeypatch):
    monkeypatch.delenv("VOC_DATABASE_URL", raising=False)
    monkeypatch.setenv("VOC_HOME", str(server.folder.parent))
    engine = open_store()

    assert status(engine).ready
    engine.dispose()


def test_a_database_that_is_down_is_a_clear_error(monkeypatch):
    monkeypatch.setenv("VOC_DATABASE_URL", "postgresql://ann:s3cret@127.0.0.1:1/voc")

    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/voc .*Connection refused"):
        open_store()


def test_voc_home_moves_the_data(monkeypatch, tmp_path):
    monkeypatch.setenv("VOC_HOME", str(tmp_path))
    assert home_folder() == tmp_path
    monkeypatch.setenv("VOC_HOME", "")
    assert home_folder().name == "voc"
