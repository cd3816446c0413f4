"""The illustrated report of a run: what it scores, how it learnt, and for a dozen held-out images what it sees."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image

from unipan.checkpoint import RunFolder, open_run
from unipan.choices import PanopticHead
from unipan.data.build import validation_dataset
from unipan.data.dataset import PanopticDataset
from unipan.engine.processes import this_process
from unipan.metrics.confusion import VOID_NAME
from unipan.metrics.pq import count, quality
from unipan.metrics.report import percent, stuff_iou
from unipan.models.panoptic_head import UnifiedHead
from unipan.ops.segments import index_of_ids
from unipan.ops.upsample import STRIDE
from unipan.predictor import Predictor, load
from unipan.recipes.evaluate import evaluate, evaluated, marked
from unipan.recipes.evaluation.result import Evaluation
from unipan.recipes.training.log import read_log
from unipan.types import Outputs, PanopticMap, Sample
from unipan.viz.canvas import as_pil, enlarge, readable_scale
from unipan.viz.confusion import draw_confusion
from unipan.viz.curves import loss_curves, need_matplotlib
from unipan.viz.overlay import overlay
from unipan.viz.panels import draw_affinity, draw_detections
from unipan.viz.report import Example, ReportTable, write_report
from unipan.viz.sheet import contact_sheet

EXAMPLES = 12
SHEET_ROWS = 4
MARKS = 3
"""Marked pixels of one image, on its largest things."""


class Mark(NamedTuple):
    """A pixel whose affinities are shown."""

    cell: tuple[int, int]  # y, x in cells
    caption: str


def report(
    run: str,
    *,
    root: str | None = None,
    val: str = "",
    images: str = "",
    head: PanopticHead | None = None,
    device: str = "auto",
) -> Path:
    """Evaluate a run, as `evaluate` does, and write RUN/report.html, whose path is returned, and RUN/examples.jpg.

    The page of another head or of other images bears their names, as the metrics do.
    """
    need_matplotlib()
    evaluation = evaluate(run, root=root, val=val, images=images, head=head, device=device)
    folder, config, _ = open_run(run)
    page = marked(folder.path / "report.html", config, evaluation.decoder, val)
    if this_process().is_main:
        dataset = validation_dataset(evaluated(config.data, root=root, val=val, images=images))
        predictor = load(run, head=head, device=device)
        illustrate(folder, predictor, dataset, evaluation, facts=[("steps", str(config.train.steps))], page=page)
    return page


def illustrate(
    folder: RunFolder,
    predictor: Predictor,
    dataset: PanopticDataset,
    evaluation: Evaluation,
    *,
    facts: Sequence[tuple[str, str]],
    page: Path,
) -> None:
    """Write `page`, an HTML file, and beside it examples.jpg. facts: further headline numbers, beside the PQ."""
    everything = evaluation.answer.quality
    headline = [
        ("PQ", percent(everything.all.pq)),
        ("PQ things", percent(everything.things.pq)),
        ("PQ stuff", percent(everything.stuff.pq)),
        ("IoU stuff", percent(stuff_iou(evaluation.answer))),
    ]
    if evaluation.propagation:
        headline.append(("PQ, propagation off", percent(evaluation.propagation.without.quality.all.pq)))
    records = read_log(folder.log)
    examples = [example(predictor, dataset[index]) for index in range(min(EXAMPLES, len(dataset)))]
    write_report(
        page,
        title=f"unipan: {folder.path.name}, {evaluation.answer.title}",
        facts=[*headline, *facts],
        tables=[_plain(t) for t in (evaluation.answer.table(), evaluation.answer.class_table(), *evaluation.further_tables())],
        curves_svg=loss_curves(records) if records else "",
        examples=examples,
        confusions=confusion_drawings(evaluation),
        notes=evaluation.sentences(),
    )
    telling = [shown for shown in examples if shown.affinity] or examples
    sheet(telling[:SHEET_ROWS]).save(page.with_name(page.stem.replace("report", "examples") + ".jpg"), quality=90)


def sheet(examples: Sequence[Example]) -> Image.Image:
    """The first few examples as one image, for a page or a talk."""
    titles = ["image", "truth", "detections", "answer"]
    rows = [[e.image, e.truth, e.detections, e.answer, *(drawn for _, drawn in e.affinity[:1])] for e in examples]
    if any(e.affinity for e in examples):
        titles.append("of one segment with the crossed pixel")
    return contact_sheet(rows, column_titles=titles)


def confusion_drawings(evaluation: Evaluation) -> list[tuple[str, Image.Image]]:
    """Of the final answer and of the semantic head; none where no pixel has a known class."""
    sides = {"of the final answer": evaluation.final_answer, "of the semantic head": evaluation.semantic_head}
    drawn = [(name, draw_confusion(side.pixels, evaluation.classes, void=VOID_NAME)) for name, side in sides.items()]
    return [(name, drawing) for name, drawing in drawn if drawing]


def _plain(table) -> ReportTable:
    """A rich table's texts."""
    columns = [list(column.cells) for column in table.columns]
    header = [str(column.header) for column in table.columns]
    return ReportTable(table.heading, header, [[str(text) for text in row] for row in zip(*columns, strict=True)])


def example(predictor: Predictor, sample: Sample) -> Example:
    """Everything about one held-out image."""
    inference = predictor.infer(sample.image)
    answer = predictor.answer(inference)
    pil_image = as_pil(sample.image)
    height, width = inference.network_size
    seen = pil_image.resize((width, height))  # boxes and cells refer to what the network saw
    scored = quality(count(answer, sample.truth, len(predictor.classes)), predictor.classes)
    return Example(
        name=sample.file_name,
        summary=f"PQ {percent(scored.all.pq)}, things {percent(scored.things.pq)}, stuff {percent(scored.stuff.pq)}",
        image=enlarge(pil_image, readable_scale(*pil_image.size)),
        truth=overlay(sample.truth, pil_image, predictor.classes, scale=None),
        detections=draw_detections(seen, inference.detections, predictor.classes, inference.outputs.admitted[0]),
        answer=overlay(answer, pil_image, scale=None),
        affinity=affinity_drawings(predictor, inference.outputs, answer, seen),
    )


def affinity_drawings(
    predictor: Predictor, outputs: Outputs, answer: PanopticMap, seen: Image.Image
) -> list[tuple[str, Image.Image]]:
    """How likely, by the affinity, each pixel is of a marked one's segment, for a few marked ones, as in the paper's Fig. B.

    None where no affinity was learnt.
    """
    head = predictor.network.panoptic_head
    if not isinstance(head, UnifiedHead) or head.form == "none":
        return []
    features = outputs.affinity[0]
    height, width = features.shape[-2:]
    marks = marked_pixels(answer, (height, width))
    if not marks:
        return []
    cells = torch.tensor([y * width + x for (y, x), _ in marks], device=features.device)
    rows = head.together(outputs.potentials[0], features, outputs.existence[0], cells).detach().cpu()
    return [
        (mark.caption, draw_affinity(seen, row.view(height, width), mark.cell, stride=STRIDE, span=(0, 1)))
        for mark, row in zip(marks, rows, strict=True)
    ]


def marked_pixels(answer: PanopticMap, cells: tuple[int, int]) -> list[Mark]:
    """A pixel in the middle of each of the largest things, or of the largest stuff where there are no things."""
    by_size = sorted(answer.segments, key=lambda segment: (not segment.is_thing, -segment.area))
    chosen = [segment for segment in by_size if segment.is_thing][:MARKS] or by_size[:1]
    return [Mark(_middle(answer, segment.id, cells), f"of a pixel of {segment.name}") for segment in chosen]


def _middle(answer: PanopticMap, segment_id: int, cells: tuple[int, int]) -> tuple[int, int]:
    """The cell that the segment fills best and, of equals, the one nearest to its centre of mass (which may lie outside)."""
    inside = (index_of_ids(answer.ids, [segment_id]) == 0).double()
    filled = F.adaptive_avg_pool2d(inside[None], cells)[0]
    y, x = (filled >= filled.max()).nonzero().double().unbind(1)
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in cells), indexing="ij")
    centre_y, centre_x = ((filled * axis).sum() / filled.sum() for axis in (rows, columns))
    nearest = ((y - centre_y) ** 2 + (x - centre_x) ** 2).argmin()
    return int(y[nearest]), int(x[nearest])
