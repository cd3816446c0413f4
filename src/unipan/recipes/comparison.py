"""What a comparison of heads tells: scores where the truth is known, else what the answers hold."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from unipan.choices import PanopticHead
from unipan.classes import VOID_ID
from unipan.console import Table
from unipan.errors import plural
from unipan.metrics.additive import Additive
from unipan.metrics.report import GROUPS, Report, percent, stuff_iou
from unipan.types import PanopticMap


@dataclass(frozen=True)
class Content(Additive):
    """What answers hold."""

    things: int = 0
    stuff: int = 0
    """Segments."""
    void: int = 0
    pixels: int = 0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One checkpoint's answers by each head that it has."""

    contents: dict[PanopticHead, Content]
    reports: dict[PanopticHead, Report]
    """Their scores; empty where no truth is known."""
    drawings: list[Path]
    """The files written: of each image one, with all answers."""
    notes: list[str]
    """What a reader must know to judge fairly."""
    unreadable: list[Path]
    """Images that could not be read and are left out."""

    def table(self) -> Table:
        """PQ of all, things and stuff for each head; without truth, what its answers hold."""
        return self._score_table() if self.reports else self._content_table()

    def sentences(self) -> list[str]:
        return self.notes

    def to_json(self) -> dict[str, Any]:
        return {
            "heads": {head: report.to_json() for head, report in self.reports.items()},
            "drawings": [str(path) for path in self.drawings],
            "notes": self.notes,
        }

    def _score_table(self) -> Table:
        first = next(iter(self.reports.values()))
        heading = f"One checkpoint, {plural(len(self.reports), 'head')}: {first.title}, {plural(first.num_images, 'image')}"
        table = Table(heading, "head", "PQ", "PQ things", "PQ stuff", "IoU stuff")
        for head, report in self.reports.items():
            table.add_row(
                title(head), *(percent(getattr(report.quality, group).pq) for group in GROUPS), percent(stuff_iou(report))
            )
        return table

    def _content_table(self) -> Table:
        heading = f"One checkpoint, {plural(len(self.contents), 'head')}: {plural(len(self.drawings), 'image')} without truth"
        table = Table(heading, "head", "things", "stuff segments", "void pixels")
        for head, content in self.contents.items():
            table.add_row(title(head), str(content.things), str(content.stuff), f"{content.void / content.pixels:.1%}")
        return table


def content_of(answer: PanopticMap) -> Content:
    """What one answer holds."""
    things = sum(segment.is_thing for segment in answer.segments)
    return Content(things, len(answer.segments) - things, int((answer.ids == VOID_ID).sum()), answer.ids.numel())


def title(head: PanopticHead) -> str:
    """What people call it."""
    match head:
        case "unified":
            return "unified"
        case "upsnet":
            return "UPSNet's head"
        case "heuristic":
            return "heuristic merger"
    assert_never(head)
