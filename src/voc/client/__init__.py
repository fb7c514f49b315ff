"""A typed client of the API, sync and async, that retries without doing anything twice.

    from voc.client import Client

    with Client("http://localhost:8080", key="...") as client:
        (score,) = client.score(["Charged twice and nobody answers!"])

Needs httpx (`pip install 'voc[client]'`).
"""

from voc.client.asynchronous import AsyncClient
from voc.client.calls import ApiError, Retries
from voc.client.synchronous import Client

__all__ = ["ApiError", "AsyncClient", "Client", "Retries"]
