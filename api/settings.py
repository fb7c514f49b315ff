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
    token_budget: PositiveInt = 512  # padded tokens in one call of the model
    max_wait_ms: int = Field(default=3, ge=0)  # longest a request waits for company
    max_live_delay_ms: PositiveInt = 250  # a live request that would wait longer is refused with 429
    max_bulk_delay_s: PositiveInt = 20  # the same for bulk
    max_body_bytes: PositiveInt = 16_000_000
