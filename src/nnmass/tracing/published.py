"""Published accuracies of pretrained weights, as timm's results files list them."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nnmass.errors import DataError
from nnmass.files import read_text
from nnmass.plain_text import plain
from nnmass.tracing.libraries import import_library

_LARGEST = 2**26  # bytes: timm's largest results file has 2**18
_TORCHVISION_TAG = "tv_in1k"


class Published(NamedTuple):
    """Accuracy of one set of weights.

    Attributes:
        weights: their name, ``resnet50.a1_in1k``: architecture, then tag.
        top1: share of right answers, in percent.
        image_size: height of the images, where the file says so.
    """

    weights: str
    top1: float
    image_size: int | None


@dataclass(frozen=True)
class PublishedAccuracies:
    """Accuracies by architecture.

    Attributes:
        by_architecture: rows in the order of the file.
    """

    by_architecture: Mapping[str, Sequence[Published]]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "PublishedAccuracies":
        """Read a results file of timm: CSV with the columns model, top1 and perhaps img_size.

        Raises:
            DataError: no such file, no such columns, or what should be a number is none.
        """
        found: dict[str, list[Published]] = {}
        try:
            text = read_text(path, limit=_LARGEST, what="a results file")
            reader = csv.DictReader(io.StringIO(text, newline=""))
            missing = {"model", "top1"} - set(reader.fieldnames or ())
            if missing:
                columns = plain(reader.fieldnames, limit=200)
                raise DataError(f"{path}: a results file needs the columns model and top1, got {columns}")
            for row in reader:
                known = _published(row, f"{path}, line {reader.line_num}")
                found.setdefault(known.weights.partition(".")[0], []).append(known)
        except OSError as error:
            raise DataError(f"{path}: cannot be read as CSV ({error.strerror or error})") from error
        except csv.Error as error:
            raise DataError(f"{path}: cannot be read as CSV ({error})") from error
        return cls(found)

    def of(self, source: str, *, image_size: int | None = None) -> Published | None:
        """Find the accuracy of a timm or torchvision model.

        Of several weights those that the name asks for; else timm's default ones, or torchvision's first own; else the
        most accurate.  Of several image sizes the one that is asked for, else the first in the file.
        """
        zoo, _, name = source.partition(":")
        architecture, tagged, _ = name.partition(".")
        rows = self.by_architecture.get(architecture, ()) if zoo in ("timm", "torchvision") else ()
        wanted = name if tagged else f"{architecture}.{_default_tag(zoo, architecture)}" if rows else ""
        chosen = [row for row in rows if row.weights == wanted]
        if not chosen and not tagged:
            chosen = sorted(rows, key=lambda row: -row.top1)
        alike = [row for row in chosen if row.weights == chosen[0].weights]
        return next((row for row in alike if row.image_size == image_size), alike[0] if alike else None)


def _default_tag(zoo: str, architecture: str) -> str:
    if zoo == "torchvision":
        return _TORCHVISION_TAG
    known = import_library("timm").get_pretrained_cfg(architecture)
    return str(known.tag or "") if known else ""


def _published(row: Mapping[str, str | None], where: str) -> Published:
    weights, top1, size = row["model"] or "", row["top1"] or "", row.get("img_size")
    try:
        accuracy, height = float(top1), int(size) if size else None
    except ValueError:
        raise DataError(f"{where}: top1 and img_size must be numbers, got {plain((top1, size), limit=100)}") from None
    if not weights or not 0 <= accuracy <= 100 or (height is not None and height < 1):
        shown = plain((weights, top1, size), limit=100)
        raise DataError(f"{where}: needs a model, a top1 from 0 to 100 and an img_size of at least 1, got {shown}")
    return Published(weights, accuracy, height)
