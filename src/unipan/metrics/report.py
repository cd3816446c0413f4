"""A score as people and programs read it."""

from dataclasses import asdict, dataclass
from math import isnan
from typing import Any, Literal

from unipan.console import Table
from unipan.errors import plural
from unipan.metrics.calibration import NUM_BINS, Calibration
from unipan.metrics.confusion import ClassMeans
from unipan.metrics.error_analysis import ErrorAnalysis
from unipan.metrics.pq import PanopticQuality
from unipan.metrics.segment_errors import KINDS
from unipan.metrics.sizes import SizeQuality

Group = Literal["all", "things", "stuff"]
GROUPS: tuple[Group, ...] = ("all", "things", "stuff")
SIZES = ("small", "medium", "large")
MEASURES_SENTENCE = (
    "PQ†: of things PQ, of a stuff class its mean IoU over the images that have it (Porzi et al., 2019). "
    "IoU answer: of the final panoptic answer, its instances joined by class, void counted as wrong (the paper's Table D). "
    "IoU head: of the semantic head alone (its Tables C and E)."
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """The score of one set of answers. Fractions inside and in JSON, percent in tables."""

    title: str
    quality: PanopticQuality
    num_images: int
    pq_dagger: ClassMeans
    """PQ of things; of stuff the mean IoU in the images that have it."""
    final_answer_iou: ClassMeans
    """Of the answers or files themselves, instances of a class together; predicted void is wrong (the paper's Table D)."""
    semantic_head_iou: ClassMeans | None = None
    """Of the semantic head's arg max, before any panoptic step (the paper's Tables C and E, and "IoU" elsewhere in it)."""
    by_size: SizeQuality
    """By COCO's sizes."""
    by_own_size: SizeQuality | None = None
    """By sizes that part the set's own things in three; None where COCO's tell them apart."""
    errors: ErrorAnalysis
    calibration: Calibration | None
    """Of the things' scores; None where they have none."""

    def table(self) -> Table:
        """PQ, SQ, RQ, PQ-dagger and IoU: a row each for all classes, things and stuff."""
        columns = ("PQ", "SQ", "RQ", *(name for name, _ in self._measures()), "classes")
        table = Table(f"{self.title}, {plural(self.num_images, 'image')}", "", *columns)
        for group in GROUPS:
            mean = getattr(self.quality, group)
            values = (mean.pq, mean.sq, mean.rq, *(getattr(one, group) for _, one in self._measures()))
            table.add_row(group, *map(percent, values), str(mean.num_classes))
        return table

    def class_table(self) -> Table:
        """The same measures, and matched, extra and missed segments, of each class that occurs; things are th, stuff st.

        Where the terminal is narrow, names are folded and no number is cut: with short names 80 columns do.
        """
        columns = ("PQ", "SQ", "RQ", *(name for name, _ in self._ious()), "matched", "extra", "missed")
        table = Table(f"{self.title}, by class", "class", "", *columns, words=2)
        for index, entry in enumerate(self.quality.per_class):
            further = [one.per_class[index] for _, one in self._ious()]
            if entry.occurs or not all(isnan(value) for value in further):
                values = map(percent, (entry.pq, entry.sq, entry.rq, *further))
                kind = "th" if entry.is_thing else "st"
                table.add_row(entry.name, kind, *values, str(entry.matched), str(entry.extra), str(entry.missed))
        return table

    def size_table(self) -> Table:
        """PQ of small, medium and large segments."""
        sizes = self.by_own_size or self.by_size
        whose, (medium, large) = f"limits by the set: {sizes.true_segments()}" if self.by_own_size else "as COCO", sizes.limits
        columns = ("PQ", "PQ things", "PQ stuff", "SQ", "RQ", "matched", "extra", "missed")
        table = Table(f"By size ({whose}): medium from {medium} px, large from {large}", "", *columns)
        for size in SIZES:
            one: PanopticQuality = getattr(sizes, size)
            values = (one.all.pq, one.things.pq, one.stuff.pq, one.all.sq, one.all.rq)
            numbers = (sum(getattr(entry, field) for entry in one.per_class) for field in ("matched", "extra", "missed"))
            table.add_row(size, *map(percent, values), *map(str, numbers))
        return table

    def error_tables(self) -> list[Table]:
        """What each kind of error counts and costs, which classes have them, and how far scores can be believed."""
        return [
            self._error_table(),
            self._error_class_table(),
            *([self._score_table(self.calibration)] if self.calibration else []),
        ]

    def _error_table(self) -> Table:
        medium, large = self.errors.limits
        heading = f"Errors, and the PQ that repairing one kind brings (medium from {medium} px, large from {large})"
        table = Table(heading, "", "missed", "false", *SIZES, "PQ", "PQ\nthings", "PQ\nstuff")
        for one in self.errors.kinds:
            gains = (getattr(one, f"pq_{group}_if_repaired") - getattr(self.quality, group).pq for group in GROUPS)
            numbers = (one.missed, one.false, one.small, one.medium, one.large)
            table.add_row(one.kind, *map(str, numbers), *map(signed_percent, gains))
        return table

    def _error_class_table(self) -> Table:
        columns = (kind.replace(" ", "\n") for kind in KINDS)
        table = Table("Errors by class, missed and false together, the class with most first", "class", *columns)
        by_name: dict[str, list[int]] = {}
        for index, one in enumerate(self.errors.kinds):
            for entry in one.per_class:
                by_name.setdefault(entry.name, [0] * len(KINDS))[index] = entry.missed + entry.false
        for name, numbers in sorted(by_name.items(), key=lambda item: -sum(item[1])):
            table.add_row(name, *map(str, numbers))
        return table

    @staticmethod
    def _score_table(found: Calibration) -> Table:
        columns = ("score", "things", "mean score", "matched, %")
        table = Table(f"Scores of things: expected calibration error {percent(found.error)} %", *columns, words=0)
        for one in (one for one in found.bins if one.things):
            span = f"{one.lowest:.1f} to {one.lowest + 1 / NUM_BINS:.1f}"
            table.add_row(span, str(one.things), f"{one.mean_score:.2f}", percent(one.matched))
        return table

    def _measures(self) -> list[tuple[str, ClassMeans]]:
        """What is measured beside PQ, SQ and RQ, by what tables call it."""
        return [("PQ†", self.pq_dagger), *self._ious()]

    def _ious(self) -> list[tuple[str, ClassMeans]]:
        measured = (("IoU\nanswer", self.final_answer_iou), ("IoU\nhead", self.semantic_head_iou))
        return [(name, iou) for name, iou in measured if iou is not None]

    def to_json(self) -> dict[str, Any]:
        """Fractions 0..1, null where there is nothing to judge (JSON has no nan); GROUP stands for all, things and stuff.

        - quality.GROUP.{pq, sq, rq, num_classes} and quality.per_class: a list of {name, is_thing, pq, sq, rq, matched, extra,
          missed} in the class table's order;
        - pq_dagger, final_answer_iou and, of a network's answers, semantic_head_iou: .{GROUP, per_class};
        - by_size.{small, medium, large}: as quality; by_size.limits: where medium and large ones begin, in pixels; by_own_size:
          likewise, or null;
        - errors.kinds: a list of {kind, missed, false, small, medium, large, pq_all_if_repaired, pq_things_if_repaired,
          pq_stuff_if_repaired, per_class: a list of {name, missed, false, pq_if_repaired} of the classes with such errors};
          errors.limits: where medium and large ones begin, in pixels;
        - calibration: null where things have no scores, else {error, bins: a list of {lowest, things, mean_score, matched},
          per_class: a list of errors in the class table's order}.
        """
        return without_nan(asdict(self))


def stuff_iou(report: Report) -> float:
    """The final answer's stuff IoU, which stands beside PQ in every table (paper, section C)."""
    return report.final_answer_iou.stuff


def percent(fraction: float) -> str:
    """One decimal, as papers print it; a dash for nan."""
    return "-" if isnan(fraction) else one_decimal(100 * fraction)


def signed_percent(fraction: float) -> str:
    """The same of a difference: "+" stands before a gain, and nothing before what is none to one decimal."""
    shown = percent(fraction)
    return shown if shown in ("-", "0.0") or shown.startswith("-") else f"+{shown}"


def one_decimal(number: float) -> str:
    """A number to one decimal; zero has no sign."""
    return f"{number:z.1f}"


def without_nan(value: Any) -> Any:
    """The same value, ready for JSON, which has no nan: null instead."""
    match value:
        case dict():
            return {key: without_nan(entry) for key, entry in value.items()}
        case list() | tuple():
            return [without_nan(entry) for entry in value]
        case float() if isnan(value):
            return None
    return value
