"""The tree of errors. Every error that a user can mend descends from `VocError`.

VocError
├── UsageError          the command was called wrongly (exit code 2)
├── InputError          what came in is wrong: names the file, row, field and remedy
│   ├── MappingError    a mapping (YAML) is wrong
│   ├── LogError        an event log is wrong
│   ├── MapError        a process map is wrong
│   └── ConflictError   right in itself, but not as things stand here
├── BundleError         a model bundle is missing, corrupt or does not fit
├── CalibrationError    calibration parameters or logits are not usable
├── StatisticsError     too little data, or counts that cannot be
└── StoreError          the database is down, too old or refuses
    └── NotFoundError   what was asked for is not in the database
"""


class VocError(Exception):
    """Something went wrong that the reader of the message can mend."""


class UsageError(VocError):
    """The command was called wrongly: a flag or path that cannot be meant."""


class InputError(VocError):
    """What came in is wrong.

    Parameters
    ----------
    reason : what was wrong, with the value seen (never the customer's text)
    file, row, field : where; `row` counts from 1 and leaves out a header
    remedy : the next step
    """

    def __init__(
        self,
        reason: str,
        *,
        file: str | None = None,
        row: int | None = None,
        field: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.reason, self.file, self.row, self.field, self.remedy = reason, file, row, field, remedy
        where = ", ".join(
            part
            for part in (
                file,
                f"row {row}" if row is not None else None,
                f"field '{field}'" if field is not None else None,
            )
            if part
        )
        super().__init__(f"{where + ': ' if where else ''}{reason}{'; ' + remedy if remedy else ''}")


class MappingError(InputError):
    """A mapping file has an unknown key, lacks one, or points at a field that is not there."""


class LogError(InputError):
    """An event log lacks a column, or holds a value that cannot be read."""


class MapError(InputError):
    """A process map is not valid."""


class ConflictError(InputError):
    """What came in is right in itself, but does not go with what is here already."""


class BundleError(VocError):
    """A model bundle is missing, corrupt or does not fit the taxonomy."""


class CalibrationError(VocError):
    """Calibration parameters or logits are not usable."""


class StatisticsError(VocError):
    """Too little data, or counts that cannot be."""


class StoreError(VocError):
    """The database is down, too old, or refuses."""


class NotFoundError(StoreError):
    """What was asked for is not in the database."""
