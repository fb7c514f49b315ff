"""The wire form of a problem (RFC 9457)."""

from pydantic import BaseModel, Field


class FieldError(BaseModel):
    """One field that is wrong."""

    field: str = Field(examples=["items.3.text"])
    detail: str = Field(examples=["Field required"])


class Problem(BaseModel):
    """What went wrong and what to do (RFC 9457)."""

    type: str = Field("about:blank", examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["items.3.text: Field required"])
    instance: str = Field(examples=["/v1/score"])
    errors: list[FieldError] = []
