"""The service against its own description: Schemathesis sends what it allows and what it forbids."""

import json
import os
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from api.app import create_app
from api.settings import Settings
from tests.integration.conftest import TEMPLATE, database
from tests.integration.serving import serving
from voc.store import embedded

KEY = "a-key-of-the-tests"


@schemathesis.serializer("application/x-ndjson")
def as_lines(context, value):
    """Whatever is generated, as one line or as it is."""
    words = value if isinstance(value, str) else json.dumps(value)
    return words.encode("utf-8", "replace")


schema = schemathesis.openapi.from_dict(create_app(Settings(api_key=KEY)).openapi())


@pytest.fixture(scope="module")
def url(server: embedded.Server) -> Iterator[str]:
    """One service and one database for all that is sent."""
    with pytest.MonkeyPatch.context() as patch, database(server, TEMPLATE) as engine:
        patch.setitem(
            os.environ, "VOC_DATABASE_URL",
            engine.url.set(drivername="postgresql").render_as_string(hide_password=False),
        )  # fmt: skip
        with serving(Settings(api_key=KEY)) as address:
            yield address


@schema.parametrize()
@settings(
    max_examples=12, derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_what_the_description_says_is_what_the_service_does(case, url):
    headers = {"Authorization": f"Bearer {KEY}"}
    response = case.call(base_url=url, headers=headers)
    # No schema can say that a time must not lie in the future: that refusal alone is not held against it.
    future = response.status_code == 422 and "lies in the future" in response.json()["detail"]
    case.validate_response(
        response, headers=headers, excluded_checks=[positive_data_acceptance] if future else []
    )
