"""The bundle: a folder with model, tokenizer, manifest and card, checked when it is opened."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voc.classify.calibration import Calibration
from voc.errors import BundleError, UsageError
from voc.taxonomy import SENTIMENTS, SIGNALS

BINARY_LABELS: tuple[str, ...] = ("frustration", *SIGNALS)
SCHEMA = 1
NETWORK_FILES = {"model.onnx", "tokenizer.json"}  # what the manifest must give digests of


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Thresholds of one name: a label is flagged where its probability reaches the threshold."""

    name: str
    thresholds: dict[str, float]
    about: dict[str, Any]  # who set it, when, on which data, with what guarantee


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle. `id` is "name/version", the stamp that every score carries."""

    folder: Path
    id: str
    max_tokens: int
    overlap: int  # tokens that neighbouring windows share
    embedding_dim: int
    calibration: Calibration
    operating_points: dict[str, OperatingPoint]
    default_point: str
    manifest: dict[str, Any]

    def operating_point(self, name: str | None) -> OperatingPoint:
        """The thresholds of `name`, or the default.

        Raises
        ------
        UsageError
            The bundle has no operating point of that name.
        """
        wanted = name or self.default_point
        if wanted not in self.operating_points:
            raise UsageError(
                f"{self.id} has no operating point '{wanted}'; it has {', '.join(self.operating_points)}"
            )
        return self.operating_points[wanted]


def load_bundle(folder: str | Path) -> Bundle:
    """Open a bundle, checking the digest of each file and that its labels are this taxonomy's.

    Raises
    ------
    BundleError
        A file was changed or cut, the manifest is not sound, or the labels are of another taxonomy.
    UsageError
        The folder is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such bundle; check --bundle, VOC_BUNDLE or the path")
    manifest = _read_manifest(folder)
    with _taking(folder, "files"):
        files = {str(name): str(digest) for name, digest in manifest["files"].items()}
    if missing := sorted(NETWORK_FILES - set(files)):
        raise BundleError(
            f"{folder}: the manifest's files lack {', '.join(missing)}; export the bundle again"
        )
    for name, digest in files.items():
        _check_digest(folder / name, digest)
    with _taking(folder, "labels"):
        labels = (tuple(manifest["labels"]["sentiment"]), tuple(manifest["labels"]["signals"]))
    if labels != (SENTIMENTS, tuple(SIGNALS)):
        raise BundleError(
            f"{folder}: the bundle's labels are not this taxonomy's; train a bundle with this version"
        )
    with _taking(folder, "calibration"):
        calibration = Calibration.from_dict(manifest["calibration"])
        if (len(calibration.bias), len(calibration.slope), len(calibration.offset)) != (
            len(SENTIMENTS),
            len(BINARY_LABELS),
            len(BINARY_LABELS),
        ):
            raise ValueError
    points = _read_points(folder, manifest)
    with _taking(folder, "max_tokens, overlap or embedding_dim"):
        sizes = [int(manifest[key]) for key in ("max_tokens", "overlap", "embedding_dim")]
    return Bundle(
        folder=folder,
        id=f"{manifest['name']}/{manifest['version']}",
        max_tokens=sizes[0],
        overlap=sizes[1],
        embedding_dim=sizes[2],
        calibration=calibration,
        operating_points=points,
        default_point=str(manifest["default_operating_point"]),
        manifest=manifest,
    )


def find_live_bundle(models: str | Path) -> Path:
    """The folder that the file `LIVE` in `models` names.

    Raises
    ------
    BundleError
        There is no such file, or it names no folder.
    """
    pointer = Path(models) / "LIVE"
    try:
        name = pointer.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BundleError(
            f"{pointer} cannot be read ({error.strerror}); give --bundle DIR or set VOC_BUNDLE"
        ) from error
    folder = Path(models) / name
    if not folder.is_dir():
        raise BundleError(f"{pointer} names '{name}', which is no folder in {models}; promote a bundle")
    return folder


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _read_points(folder: Path, manifest: dict[str, Any]) -> dict[str, OperatingPoint]:
    with _taking(folder, "operating_points"):
        points = {
            name: OperatingPoint(
                name, {k: float(v) for k, v in point["thresholds"].items()}, point.get("about", {})
            )
            for name, point in manifest["operating_points"].items()
        }
    for point in points.values():
        missing = set(BINARY_LABELS) - set(point.thresholds)
        if missing:
            raise BundleError(f"{folder}: operating point '{point.name}' lacks {sorted(missing)}")
    if (default := manifest["default_operating_point"]) not in list(points):
        raise BundleError(
            f"{folder}: the default operating point {default!r} is none of {', '.join(points)}; "
            "export the bundle again"
        )
    return points


@contextmanager
def _taking(folder: Path, key: str) -> Iterator[None]:
    """Name the manifest's key whose value is not of the form it should be."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{folder / 'manifest.json'}: {key} is not of the right form; export the bundle again"
        ) from error


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror}); is this the folder of a bundle?"
        ) from error
    except json.JSONDecodeError as error:
        raise BundleError(f"{path} is not JSON (line {error.lineno}); export the bundle again") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, a number too long, nested too deeply
        raise BundleError(f"{path} is not JSON in UTF-8; export the bundle again") from error
    if not isinstance(manifest, dict):
        raise BundleError(f"{path} is no JSON object; export the bundle again")
    needed = {
        "schema", "name", "version", "labels", "max_tokens", "overlap", "embedding_dim",
        "calibration", "operating_points", "default_operating_point", "files",
    }  # fmt: skip
    if missing := sorted(needed - set(manifest)):
        raise BundleError(f"{path} lacks {', '.join(missing)}; export the bundle again")
    if manifest["schema"] != SCHEMA:
        raise BundleError(f"{path}: schema {manifest['schema']} is not {SCHEMA}, which this version reads")
    return manifest


def _check_digest(path: Path, digest: str) -> None:
    try:
        found = file_digest(path)
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); fetch the bundle again") from error
    if found != digest:
        raise BundleError(
            f"{path} is corrupt: SHA-256 {found[:12]} is not {digest[:12]}, which the manifest names; "
            "fetch the bundle again"
        )
