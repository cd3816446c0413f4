"""What is shown of one image: itself, its truth, the detections, the answer, and the affinity of marked pixels."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import torch
import torch.nn.functional as F
from PIL import Image

from unipan.classes import ClassTable
from unipan.data.coco_json import stem_below
from unipan.metrics.pq import quality
from unipan.metrics.report import percent
from unipan.metrics.score import Score
from unipan.metrics.segment_errors import KINDS
from unipan.metrics.segment_matching import match_maps
from unipan.models.panoptic_head import UnifiedHead
from unipan.ops.segments import index_of_ids
from unipan.ops.upsample import STRIDE
from unipan.predictor import Predictor
from unipan.recipes.answer_colors import answer_colors
from unipan.types import Outputs, PanopticMap, Sample
from unipan.viz.canvas import as_pil, enlarge, readable_scale
from unipan.viz.colors import detection_colors
from unipan.viz.overlay import overlay
from unipan.viz.panels import draw_affinity, draw_detections
from unipan.viz.report import Example

MARKS = 3
"""Marked pixels of one image, on its largest things."""


class Mark(NamedTuple):
    """A pixel whose affinities are shown."""

    cell: tuple[int, int]  # y, x in cells
    caption: str


def source_of(predictor: Predictor, run: str, *, every_head: bool = False) -> str:
    """What every drawing has to name: the run, the head, and the limits of its answers. every_head: all of them are shown."""
    limit, threshold = predictor.min_stuff_area_px, predictor.admission.score_threshold
    trimmed = f"stuff under {limit} px trimmed" if limit else "nothing trimmed"
    head = f"trained for the head {predictor.head}" if every_head else f"head {predictor.head}"
    return f"Run {run}, {head}, detections from a score of {threshold:g} on, {trimmed}."


def example(predictor: Predictor, sample: Sample, page: Path) -> Example:
    """Everything about one held-out image. page: the report, beside which the image may have an explorer page."""
    inference = predictor.infer(sample.image)
    answer = predictor.answer(inference)
    pil_image = as_pil(sample.image)
    height, width = inference.network_size
    seen = pil_image.resize((width, height))  # boxes and cells refer to what the network saw
    score = Score.of(match_maps(answer, sample.truth), len(predictor.classes))
    explorer = explorer_of(page, sample.file_name)
    colors = answer_colors(answer, sample.truth, predictor.classes)
    return Example(
        name=sample.file_name,
        summary=summary_of(score, predictor.classes),
        explorer=quote(explorer.as_posix()) if (page.parent / explorer).is_file() else "",
        image=enlarge(pil_image, readable_scale(*pil_image.size)),
        truth=overlay(sample.truth, pil_image, predictor.classes, scale=None),
        detections=draw_detections(
            seen,
            inference.detections,
            predictor.classes,
            inference.outputs.admitted[0],
            colors=detection_colors(inference.admitted, predictor.classes, colors),
        ),
        answer=overlay(answer, pil_image, scale=None, colors=colors),
        affinity=affinity_drawings(predictor, inference.outputs, answer, seen),
    )


def explorer_of(page: Path, name: str) -> Path:
    """Where an image's explorer page is, from the report's folder: each report, `report_MARKS.html`, has its own."""
    return Path(page.stem.replace("report", "explorer", 1), f"{stem_below(name)}.html")


def summary_of(score: Score, classes: ClassTable) -> str:
    """One image's PQ, and its errors by their kinds."""
    scored, errors = quality(score.segments, classes), score.errors
    numbers = zip(KINDS, (errors.missed + errors.false).sum(1).tolist(), strict=True)
    kinds = ", ".join(f"{number} {kind}" for kind, number in numbers if number)
    groups = f"PQ {percent(scored.all.pq)}, things {percent(scored.things.pq)}, stuff {percent(scored.stuff.pq)}"
    return f"{groups}; {kinds or 'no segment missed or false'}"


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
