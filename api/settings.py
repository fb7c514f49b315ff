"""Values the service needs to start; a wrong one stops the start, not the first request."""

from pathlib import Path

from pydantic import Field, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Each may be set as VOC_<NAME> in the environment.

    The database is read by `voc.cli.database`, as for every command: VOC_DATABASE_URL, or VOC_HOME.
    """

    model_config = SettingsConfigDict(env_prefix="VOC_", frozen=True)

    host: str = "127.0.0.1"
    port: PositiveInt = 8080
    bundle: Path | None = None  # unset: the bundle that models/LIVE names
    operating_point: str | None = None
    api_key: SecretStr | None = None  # unset: only this machine may call
    max_batch: PositiveInt = 64  # texts in one call of the model
    max_wait_ms: int = Field(default=3, ge=0)  # longest a request waits for company
    max_queue: PositiveInt = 4096  # texts that may wait; beyond it requests are refused with 429
    max_body_bytes: PositiveInt = 16_000_000
