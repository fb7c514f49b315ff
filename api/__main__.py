"""Serve the API: `python -m api`. Settings come from the environment (VOC_HOST, VOC_PORT, ...)."""

import ipaddress
import sys

import uvicorn
from pydantic import ValidationError

from api.app import create_app
from api.settings import Settings


def main() -> None:
    """Check the settings, then serve until told to stop."""
    try:
        settings = Settings()
    except ValidationError as error:
        for wrong in error.errors():
            print(f"api: VOC_{'_'.join(map(str, wrong['loc'])).upper()}: {wrong['msg']}", file=sys.stderr)
        sys.exit(2)
    if settings.api_key is None and not _is_loopback(settings.host):
        print(f"api: VOC_HOST={settings.host} opens the service to others: set VOC_API_KEY", file=sys.stderr)
        sys.exit(2)
    print(f"serving http://{settings.host}:{settings.port}  (docs: /docs)", file=sys.stderr)
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, log_level="warning")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    main()
