"""A score as people and programs read it."""

import json
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path
from typing import Any, Literal

from rich.table import Table

from unipan.errors import InputError
from unipan.metrics.confusion import MeanIoU
from unipan.metrics.pq import PanopticQuality

Group = Literal["all", "things", "stuff"]
GROUPS: tuple[Group, ...] = ("all", "things", "stuff")


@dataclass(frozen=True, kw_only=True)
class Report:
    """The score of one set of answers. Fractions inside and in JSON, percent in tables."""

    title: str
    quality: PanopticQuality
    num_images: int
    iou: MeanIoU | None = None

    def table(self) -> Table:
        """PQ, SQ, RQ and, where it was measured, IoU: a row each for all classes, things and stuff."""
        measures = ["PQ", "SQ", "RQ", *(["IoU"] if self.iou else [])]
        images = "1 image" if self.num_images == 1 else f"{self.num_images} images"
        table = Table(title=f"{self.title}, {images}")
        table.add_column("")
        for name in [*measures, "classes"]:
            table.add_column(name, justify="right")
        for group in GROUPS:
            mean = getattr(self.quality, group)
            iou = [getattr(self.iou, group)] if self.iou else []
            values = [percent(value) for value in (mean.pq, mean.sq, mean.rq, *iou)]
            table.add_row(group, *values, str(mean.num_classes))
        return table

    def class_table(self) -> Table:
        """The same measures and the number of matched, extra and missed segments of each class that occurs."""
        table = Table(title=f"{self.title}, by class")
        table.add_column("class")
        table.add_column("kind")
        for name in ["PQ", "SQ", "RQ", *(["IoU"] if self.iou else []), "matched", "extra", "missed"]:
            table.add_column(name, justify="right")
        for index, entry in enumerate(self.quality.per_class):
            iou = [self.iou.per_class[index]] if self.iou else []
            if entry.occurs or not all(isnan(value) for value in iou):
                values = [percent(value) for value in (entry.pq, entry.sq, entry.rq, *iou)]
                kind = "thing" if entry.is_thing else "stuff"
                table.add_row(entry.name, kind, *values, str(entry.matched), str(entry.extra), str(entry.missed))
        return table

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON knows it: fractions, and null where there is nothing to judge (JSON has no nan)."""
        return _without_nan(asdict(self))

    def save(self, path: Path) -> None:
        """Write `to_json` to a file."""
        try:
            path.write_text(json.dumps(self.to_json(), indent=2) + "\n")
        except OSError as error:
            raise InputError(
                f"cannot write the report to {path}: {error.strerror}; choose a file that can be written."
            ) from error


def percent(fraction: float) -> str:
    """One decimal, as papers print it; a dash for nan."""
    return "-" if isnan(fraction) else f"{100 * fraction:.1f}"


def _without_nan(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_nan(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_without_nan(entry) for entry in value]
        case float() if isnan(value):
            return None
    return value
