"""The scoring API, a FastAPI program."""
