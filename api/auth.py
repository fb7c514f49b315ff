"""Closed until opened: a key, or, where none is set, callers on this machine alone."""

import hmac
import ipaddress
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.state import State, StateDep

_bearer = HTTPBearer(auto_error=False, description="the key in VOC_API_KEY")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def require_caller(request: Request, state: StateDep, credentials: Credentials) -> None:
    """Let through who holds the key; without a key set, who calls from this machine.

    Raises
    ------
    HTTPException
        401: the key is missing or wrong. 403: no key is set and the caller is elsewhere.
    """
    given = credentials.credentials if credentials else ""
    if refused := refusal(state, given, request.client.host if request.client else ""):
        raise refused


def refusal(state: State, given: str, host: str) -> HTTPException | None:
    """Why a caller with this key and address is not let in; None where it is."""
    key = state.settings.api_key
    if key is not None:
        if hmac.compare_digest(given.encode(), key.get_secret_value().encode()):
            return None
        return HTTPException(
            401, "give the key as 'Authorization: Bearer ...'", headers={"WWW-Authenticate": "Bearer"}
        )
    if _is_local(host):
        return None
    return HTTPException(
        403, "no key is set, so only this machine may call; set VOC_API_KEY to open the service"
    )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
