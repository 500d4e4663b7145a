"""Published ImageNet accuracies, as the timm project measured them."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnmass.errors import DataError
from nnmass.experiments.recipe_groups import RECIPE_GROUPS, RecipeGroup

FILE = Path("imagenet-published") / "timm-results-imagenet.csv"
"""Where the table lies in the folder of the data sets; timm's own ``results/results-imagenet.csv``."""

_COLUMNS = ("model", "img_size", "top1", "param_count")


@dataclass(frozen=True)
class PublishedModel:
    """Pretrained weights and their accuracy.

    Attributes:
        model: timm name with tag, e.g. ``"resnet50.tv_in1k"``.
        group: name of its group of equal training.
        image_size: side of the images at which it was measured, in pixels.
        top1: ImageNet-1k validation accuracy, in per cent.
        params_millions: its parameters in millions, as published, two decimals.
    """

    model: str
    group: str
    image_size: int
    top1: float
    params_millions: float

    @property
    def architecture(self) -> str:
        """The name without the tag: what is built, whatever it was trained on."""
        return self.model.partition(".")[0]


def published_models(root: Path, groups: Sequence[RecipeGroup] = RECIPE_GROUPS) -> list[PublishedModel]:
    """Read the published models that belong to a group, group by group, best first.

    Args:
        root: folder of the data sets.
        groups: of equal training.

    Raises:
        DataError: the table is missing, has other columns, a value that is no number, or no model of a group.
    """
    path = root / FILE
    rows = _rows(path)
    found = []
    for group in groups:
        members = [row for row in rows if group.holds(row.model, row.image_size)]
        if not members:
            raise DataError(f"{path}: has no model of group {group.name}: tag {group.tag}, {group.image_size} pixels")
        found += [PublishedModel(**{**vars(row), "group": group.name}) for row in members]
    return found


def _rows(path: Path) -> list[PublishedModel]:
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; NNMASS_DATA or --data-root must name the folder that holds {FILE.as_posix()}, "
            "which is results/results-imagenet.csv of timm's repository"
        )
    with path.open(newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise DataError(f"{path}: has no column {missing[0]}; expected {', '.join(_COLUMNS)}")
        return [_row(values, path, line) for line, values in enumerate(reader, start=2)]


def _row(values: dict[str, str], path: Path, line: int) -> PublishedModel:
    try:
        size, top1 = int(values["img_size"]), float(values["top1"])
        return PublishedModel(values["model"], "", size, top1, float(values["param_count"].replace(",", "")))
    except (ValueError, TypeError, AttributeError):
        expected = "img_size, top1 and param_count must be numbers"
        raise DataError(f"{path}, line {line}: {expected}, got {[values[column] for column in _COLUMNS]}") from None
