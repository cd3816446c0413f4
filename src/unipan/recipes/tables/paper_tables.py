"""The tables of the paper's supplementary: which method's which measure stands where, and the paper's own figures beside them."""

from dataclasses import dataclass
from typing import Literal, assert_never, get_args

from unipan.config import Config
from unipan.recipes.tables.methods import Method

Letter = Literal["a", "b", "c", "d", "e"]
LETTERS: tuple[Letter, ...] = get_args(Letter)


@dataclass(frozen=True)
class Measured:
    """A cell that is measured."""

    method: Method
    path: tuple[str, ...]
    """Where the figure stands in `Evaluation.to_json`."""
    trim: bool = True
    """Small stuff is trimmed, as in all published evaluation."""


Cell = Measured | float | None
"""A float is the paper's own figure, in percent; None an empty cell."""


@dataclass(frozen=True)
class Row:
    """One row, cell by cell."""

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """What a table says before anything is measured."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    differences: tuple[tuple[str, int, int], ...] = ()
    """Rows more, with their labels: the first of two rows less the second, taken seed by seed."""
    notes: tuple[str, ...] = ()


def paper_table(letter: Letter, base: Config) -> PaperTable:
    """The form of one table. `base` decides which variant stands for "ours" with masks: its own, B if it is mask-free."""
    ours: Method = "masks-c" if base.model.variant == "C" else "masks-b"
    match letter:
        case "a":
            return _variants()
        case "b":
            return _confusion(ours)
        case "c":
            return _training_detections()
        case "d":
            return _trimming(ours)
        case "e":
            return _results(ours)
    assert_never(letter)


def _quality(method: Method, group: str = "all", *, trim: bool = True) -> tuple[Measured, ...]:
    return tuple(Measured(method, ("answer", "quality", group, name), trim) for name in ("pq", "sq", "rq"))


def _variants() -> PaperTable:
    return PaperTable(
        title="Table A: variants of the dynamic potential",
        columns=("PQ", "SQ", "RQ", "IoU st, answer"),
        rows=(
            Row("variant B", (*_quality("masks-b"), _stuff_iou("masks-b"))),
            Row("variant C", (*_quality("masks-c"), _stuff_iou("masks-c"))),
            Row("paper, Cityscapes, B", (61.4, 81.8, 74.7, None)),
            Row("paper, Cityscapes, C", (60.3, 80.8, 73.5, None)),
            Row("paper, COCO, B", (42.7, 79.4, 52.2, None)),
            Row("paper, COCO, C", (43.4, 79.6, 53.0, None)),
        ),
        differences=(("B less C", 0, 1),),
        notes=("The paper's SQ of 81.8 is its Table E's stuff SQ; 81.1 would go with its PQ and RQ.",),
    )


def _stuff_iou(method: Method, *, trim: bool = True) -> Measured:
    return Measured(method, ("answer", "final_answer_iou", "stuff"), trim)


def _confusion(ours: Method) -> PaperTable:
    def shares(side: str, kind: str) -> tuple[Measured, ...]:
        paths = (("thing_stuff_confusion", side, f"{kind}_as_{other}") for other in ("things", "stuff", "void"))
        return tuple(Measured(ours, path) for path in paths)

    return PaperTable(
        title="Table B: percent of the true pixels taken for things, stuff or void",
        columns=("things", "stuff", "void"),
        rows=(
            Row("things, semantic head", shares("semantic_head", "things")),
            Row("stuff, semantic head", shares("semantic_head", "stuff")),
            Row("things, answer", shares("final_answer", "things")),
            Row("stuff, answer", shares("final_answer", "stuff")),
            Row("paper, Cityscapes, things", (95.1, 4.9, None)),
            Row("paper, Cityscapes, stuff", (0.0, 100.0, None)),
            Row("paper, COCO, things", (90.1, 9.9, None)),
            Row("paper, COCO, stuff", (4.8, 95.2, None)),
        ),
        notes=("The paper's figures are its semantic head's.",),
    )


def _training_detections() -> PaperTable:
    def row(label: str, method: Method) -> Row:
        head = Measured(method, ("answer", "semantic_head_iou", "all"))
        box = Measured(method, ("average_precision", "box", "ap"))
        return Row(label, (*_quality(method), head, box, _stuff_iou(method)))

    return PaperTable(
        title="Table C: detections in training, mask-free",
        columns=("PQ", "SQ", "RQ", "IoU, head", "AP box", "IoU st, answer"),
        rows=(
            row("ground truth", "boxes-truth"),
            row("predicted", "boxes"),
            Row("paper, Cityscapes, ground truth", (58.6, 80.0, 72.0, 77.8, 36.8, None)),
            Row("paper, Cityscapes, predicted", (59.0, 80.1, 72.4, 77.8, 38.1, None)),
        ),
        differences=(("predicted less ground truth", 1, 0),),
    )


def _trimming(ours: Method) -> PaperTable:
    def row(label: str, method: Method, trim: bool) -> Row:
        return Row(label, (*_quality(method, "stuff", trim=trim), _stuff_iou(method, trim=trim)))

    methods: tuple[tuple[str, Method], ...] = (("Panoptic FPN", "panoptic-fpn"), ("UPSNet's head", "upsnet"), ("ours", ours))
    rows = [row(f"{label}, {'trimmed' if trim else 'as it is'}", m, trim) for label, m in methods for trim in (False, True)]
    return PaperTable(
        title="Table D: stuff before and after small segments are set to void",
        columns=("PQ st", "SQ st", "RQ st", "IoU st, answer"),
        rows=(
            *rows,
            Row("paper, Panoptic FPN, as it is", (59.9, 79.3, 72.9, 74.7)),
            Row("paper, Panoptic FPN, trimmed", (62.0, 79.6, 75.5, 74.5)),
            Row("paper, UPSNet, as it is", (60.5, 79.8, 73.6, 75.8)),
            Row("paper, UPSNet, trimmed", (62.8, 80.0, 76.3, 75.7)),
            Row("paper, ours, as it is", (64.2, 81.4, 77.1, 78.3)),
            Row("paper, ours, trimmed", (66.3, 81.8, 79.4, 78.2)),
        ),
        differences=tuple((f"{label}, by trimming", 2 * n + 1, 2 * n) for n, (label, _) in enumerate(methods)),
        notes=("Each method is trained as itself. The paper's figures are of Cityscapes.",),
    )


_PUBLISHED = {
    "PQ": ((59.0, 50.2, 65.3), (61.4, 54.7, 66.3), (43.4, 48.6, 35.5)),
    "SQ": ((80.1, 78.4, 81.2), (81.1, 80.0, 81.8), (79.6, 80.0, 78.9)),
    "RQ": ((72.4, 63.9, 78.6), (74.7, 68.2, 79.4), (53.0, 59.2, 43.8)),
    "IoU": ((77.8, 78.7, 77.2), (79.5, 81.0, 78.4), (53.7, 60.4, 43.6)),
}
"""The paper's Table E: Cityscapes without masks, with masks, COCO with masks; each all, things, stuff."""


def _results(ours: Method) -> PaperTable:
    methods: tuple[Method, ...] = ("boxes", ours)
    groups = ("all", "things", "stuff")

    def row(label: str, path: tuple[str, ...], published: tuple[float | None, ...]) -> Row:
        return Row(label, (*(Measured(method, path) for method in methods), *published))

    def published(measure: str, position: int) -> tuple[float, ...]:
        return tuple(column[position] for column in _PUBLISHED[measure])

    quality = [
        row(f"{measure} {group}", ("answer", "quality", group, measure.lower()), published(measure, position))
        for measure in ("PQ", "SQ", "RQ")
        for position, group in enumerate(groups)
    ]
    head = [
        row(f"IoU {group}, head", ("answer", "semantic_head_iou", group), published("IoU", position))
        for position, group in enumerate(groups)
    ]
    answer = [row(f"IoU {group}, answer", ("answer", "final_answer_iou", group), (None, None, None)) for group in groups]
    precision = [
        row("AP mask", ("average_precision", "mask", "ap"), (None, 33.7, 36.4)),
        row("AP box", ("average_precision", "box", "ap"), (38.1, 38.8, 40.5)),
    ]
    return PaperTable(
        title="Table E: all results",
        columns=("boxes", "masks", "paper, Cityscapes, boxes", "paper, Cityscapes, masks", "paper, COCO, masks"),
        rows=(*quality, *head, *answer, *precision),
        notes=("The paper's IoU is its semantic head's.",),
    )
