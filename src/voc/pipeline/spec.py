"""What a run is made of: a YAML file, checked whole before anything starts."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voc.errors import InputError

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FeedbackPart(_Part):
    """A file of feedback and the mapping that reads it."""

    path: Path
    mapping: Path


class ProcessPart(_Part):
    """An event log and what it is checked against; without maps a baseline is learnt from the log."""

    log: Path
    maps: list[Path] = Field(default=[], description="process maps, or folders of them")
    flows: Path | None = Field(default=None, description="a JSON file of reference flows to import as maps")
    flows_end: str | None = Field(
        default=None, description="the activity that ends a case of an imported flow"
    )


class RatingOutcome(_Part):
    """An outcome from what customers ticked: `low_rating` where the rating is at or below `at_most`."""

    name: str
    scale: Literal["nps", "csat", "ces", "stars"]
    at_most: float


class LinkPart(_Part):
    """How feedback is tied to cases beyond the case id it names."""

    before_days: Annotated[float, Field(ge=0)] = 1
    after_days: Annotated[float, Field(ge=0)] = 14


class AssociatePart(_Part):
    """How links are tested."""

    fdr: Annotated[float, Field(gt=0, lt=1)] = 0.05
    strata: list[str] | None = Field(default=None, description="columns; unset: segment, channel, region")
    min_exposed: Annotated[int, Field(ge=1)] | None = None
    outcomes: list[str] | None = Field(default=None, description="unset: negative, frustration, all signals")
    shuffled_control: bool = True


class ThemesPart(_Part):
    """Themes of the run's feedback, assigned when it is scored, and tested as outcomes beside signals."""

    fit: Path = Field(
        description="folder of a theme fit; made from this run's feedback where it is not there"
    )
    min_size: Annotated[int, Field(ge=2)] = 10
    outcomes: bool = True


class RunSpec(_Part):
    """A run from files to root causes."""

    name: str
    description: str = ""
    feedback: list[FeedbackPart] = Field(min_length=1)
    process: ProcessPart | None = None
    themes: ThemesPart | None = None
    changes: Path | None = None
    leave_out_external: bool = Field(
        default=True, description="leave windows of external changes out of every figure"
    )
    ratings: list[RatingOutcome] = []
    link: LinkPart = LinkPart()
    associate: AssociatePart = AssociatePart()
    output: Path


def read_spec(path: str | Path) -> RunSpec:
    """Read a run. Paths are relative to the file; `${NAME}` and `${NAME:-default}` come from the environment.

    Raises
    ------
    InputError
        The file is missing, is no YAML, has an unknown key, or names a file that is not there.
    """
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"cannot be opened ({error.strerror})", file=str(path), remedy="check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8", file=str(path), remedy="save it as UTF-8") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        row = where.line + 1 if where else None
        raise InputError("is not YAML", file=str(path), row=row, remedy="check indents and quotes") from error
    if not isinstance(raw, dict):
        kind = "is empty" if raw is None else "is no block of keys"
        raise InputError(kind, file=str(path), remedy=f"give {', '.join(RunSpec.model_fields)}")
    try:
        spec = RunSpec.model_validate(_expanded(raw, str(path)))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        block, name = _block_of(first["loc"])
        known = ", ".join(block.model_fields)
        raise InputError(
            first["msg"], file=str(path), field=field, remedy=f"the keys of {name} are {known}"
        ) from error
    return _resolved(spec, path.parent, str(path))


def _block_of(location: tuple[int | str, ...]) -> tuple[type[_Part], str]:
    """The innermost block around what `location` points at, and what to call it."""
    block: type[_Part] = RunSpec
    name = "a run"
    for key in location[:-1]:
        if not isinstance(key, str) or key not in block.model_fields:
            continue
        kind = block.model_fields[key].annotation
        for one in (kind, *get_args(kind)):  # a block, a list of blocks, or a block or nothing
            if isinstance(one, type) and issubclass(one, _Part):
                block, name = one, f"'{key}'"
    return block, name


def _expanded(value: Any, file: str) -> Any:
    if isinstance(value, dict):
        return {key: _expanded(inner, file) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expanded(inner, file) for inner in value]
    if not isinstance(value, str):
        return value

    def put(match: re.Match[str]) -> str:
        found = os.environ.get(match[1]) or match[2]
        if found is None:
            raise InputError(
                f"${{{match[1]}}} is not set", file=file, remedy=f"set {match[1]} in the environment"
            )
        return found

    return _VARIABLE.sub(put, value)


def _resolved(spec: RunSpec, base: Path, file: str) -> RunSpec:
    def there(path: Path, field: str) -> Path:
        full = base / path
        if not full.exists():
            raise InputError(
                f"{full} is not there", file=file, field=field, remedy="check the path, or set VOC_DATA_DIR"
            )
        return full

    process = spec.process
    if process is not None:
        process = process.model_copy(
            update={
                "log": there(process.log, "process.log"),
                "maps": [there(p, "process.maps") for p in process.maps],
                "flows": there(process.flows, "process.flows") if process.flows else None,
            }
        )
    return spec.model_copy(
        update={
            "feedback": [
                FeedbackPart(
                    path=there(f.path, "feedback.path"), mapping=there(f.mapping, "feedback.mapping")
                )
                for f in spec.feedback
            ],
            "process": process,
            "themes": spec.themes.model_copy(update={"fit": (base / spec.themes.fit).resolve()})
            if spec.themes
            else None,
            "changes": there(spec.changes, "changes") if spec.changes else None,
            "output": (base / spec.output).resolve(),
        }
    )
