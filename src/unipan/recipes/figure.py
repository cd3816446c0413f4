"""`unipan figure`: figures as in the paper, of held-out images that are named or that tell the heads apart."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image

from unipan.answer import Inference
from unipan.checkpoint import open_run
from unipan.choices import PanopticHead
from unipan.class_colors import RGB
from unipan.console import counted
from unipan.data.dataset import PanopticDataset, SourceDataset
from unipan.errors import InputError
from unipan.metrics.pq import count, mean_pq
from unipan.metrics.report import percent, signed_percent
from unipan.models.panoptic_head import UnifiedHead
from unipan.ops.upsample import STRIDE
from unipan.overrides import NO_OVERRIDES, Overrides
from unipan.predictor import Predictor, load
from unipan.recipes.answer_colors import answer_colors
from unipan.recipes.comparison import title
from unipan.recipes.evaluate import evaluated, held_out
from unipan.recipes.examples import affinity_drawings, marked_pixels, source_of
from unipan.types import PanopticMap, Sample
from unipan.viz.canvas import as_pil, enlarge, readable_scale
from unipan.viz.colors import detection_colors, segment_colors
from unipan.viz.figure import FigureRow, check_figure, save_figure
from unipan.viz.overlay import overlay
from unipan.viz.panels import draw_cross, draw_detections

FigureKind = Literal["methods", "affinity"]


class Chosen(NamedTuple):
    """A row's image and why it is there."""

    position: int  # in the data set
    why: str


def figure(
    run: str,
    kind: FigureKind,
    out: Path,
    *,
    ids: Sequence[str] = (),
    rows: int = 4,
    samples: int = 0,
    root: str | None = None,
    overrides: Overrides = NO_OVERRIDES,
    device: str = "auto",
) -> str:
    """Write the figure and return what it shows, in a sentence.

    kind: `methods`, the heads' answers side by side (the paper's Fig. C and D); `affinity`, an image with its admitted boxes and
    a marked pixel, the truth, the pixel's affinity, and the answer (Fig. B). ids: held-out images by their ids; without them, of
    the first `samples` (0 for all) so many `rows` in which the run's own head gains or loses most PQ against another, by turns.
    """
    check_figure(out)
    predictor = load(run, device=device, overrides=overrides)
    if kind == "affinity" and not isinstance(predictor.network.panoptic_head, UnifiedHead):
        raise InputError(f"{run} was trained without an affinity; choose the figure 'methods', or a run with a unified head.")
    dataset = held_out(run, evaluated(open_run(run)[1].data, root=root))
    chosen = by_id(dataset, ids) if ids else telling(predictor, dataset, rows, samples)
    make, columns = (methods_row, _columns(predictor)) if kind == "methods" else (affinity_row, AFFINITY_COLUMNS)
    samples_of = [dataset[one.position] for one in chosen]
    drawn = [make(predictor, sample, one.why) for sample, one in zip(samples_of, chosen, strict=True)]
    save_figure(
        out,
        drawn,
        columns=columns,
        source=source_of(predictor, open_run(run)[0].path.name, every_head=kind == "methods"),
        classes=predictor.classes,
        heat="how likely, by the affinity, a pixel is of the marked one's segment" if kind == "affinity" else "",
    )
    names = ", ".join(f"{sample.image_id} {one.why}".strip() for sample, one in zip(samples_of, chosen, strict=True))
    return f"{out}: {names}."


def by_id(dataset: SourceDataset, ids: Sequence[str]) -> list[Chosen]:
    """The images of these ids, in their order."""
    position_of: dict[str, int] = {}
    for position in counted(range(len(dataset)), "looking for images", len(dataset), transient=True):
        position_of[str(dataset.id_of(position))] = position
        if all(one in position_of for one in ids):
            break
    absent = [one for one in ids if one not in position_of]
    if absent:
        first = next(iter(position_of), "none")
        raise InputError(f"the held-out images have no id {', '.join(absent)}; the first of their ids is {first}.")
    return [Chosen(position_of[one], "") for one in ids]


def telling(predictor: Predictor, dataset: PanopticDataset, rows: int, samples: int) -> list[Chosen]:
    """By turns the image in which the predictor's head gains most PQ against another, and the one in which it loses most.

    Behind them those without a difference to one decimal, which is neither.
    """
    others: list[PanopticHead] = [head for head in predictor.heads if head != predictor.head]
    if samples < 0:
        raise InputError(f"--samples is {samples}; give a number of held-out images, or 0 for all.")
    total = min(samples, len(dataset)) if samples else len(dataset)
    if not 0 < rows <= total:
        raise InputError(f"--rows is {rows}; it must be from 1 to {total}, the number of images to choose from.")
    gains: list[tuple[float, int, PanopticHead]] = []
    for position in counted(range(total), "comparing", total):
        sample = dataset[position]
        inference = predictor.infer(sample.image)
        own = _pq(predictor, inference, sample, predictor.head)
        gain_to: dict[PanopticHead, float] = {head: own - _pq(predictor, inference, sample, head) for head in others}
        head = max(others, key=lambda other: abs(gain_to[other]))
        gains.append((gain_to[head], position, head))
    gains = sorted((entry for entry in gains if entry[0] == entry[0]), key=lambda entry: -entry[0])  # nan: no segment at all
    shown = {position: signed_percent(gain) for gain, position, _ in gains}
    won = [entry for entry in gains if shown[entry[1]].startswith("+")]
    lost = [entry for entry in reversed(gains) if shown[entry[1]].startswith("-")]
    turns = [entry for pair in zip_longest(won, lost) for entry in pair if entry]
    level = [entry for entry in gains if shown[entry[1]] == "0.0"]
    return [Chosen(position, f"({shown[position]} PQ to {title(head)})") for _, position, head in (turns + level)[:rows]]


def methods_row(predictor: Predictor, sample: Sample, why: str) -> FigureRow:
    """The image, its truth, and each head's answer with its PQ on this image."""
    inference, image = predictor.infer(sample.image), as_pil(sample.image)
    truth = _drawn(sample.truth, image, segment_colors(sample.truth, predictor.classes))
    panels = [(enlarge(image, readable_scale(*image.size)), ""), (truth, "")]
    heads: tuple[PanopticHead, ...] = predictor.heads
    for head in heads:
        answer = predictor.answer(inference, head=head)
        colors = answer_colors(answer, sample.truth, predictor.classes)
        panels.append((_drawn(answer, image, colors), f"PQ {percent(_pq(predictor, inference, sample, head))}"))
    return FigureRow(f"{sample.image_id}\n{why}".strip(), panels)


AFFINITY_COLUMNS = ("(a) image with boxes", "(b) truth", "(c) affinity of the marked pixel", "(d) answer")


def affinity_row(predictor: Predictor, sample: Sample, why: str) -> FigureRow:
    """The image with the admitted boxes and the marked pixel, its truth, the pixel's affinity, and the answer."""
    inference, image = predictor.infer(sample.image), as_pil(sample.image)
    answer = predictor.answer(inference)
    colors = answer_colors(answer, sample.truth, predictor.classes)
    height, width = inference.network_size
    seen = image.resize((width, height))  # boxes and cells refer to what the network saw
    shades = detection_colors(inference.admitted, predictor.classes, colors)
    boxes = draw_detections(seen, inference.admitted, predictor.classes, colors=shades)
    affinity, words = boxes, "nothing to mark"
    cells = inference.outputs.affinity[0].shape[-2:]
    marks = marked_pixels(answer, (cells[0], cells[1]))
    if marks:
        draw_cross(boxes, marks[0].cell, stride=STRIDE, scale=readable_scale(width, height))
        words, affinity = affinity_drawings(predictor, inference.outputs, answer, seen)[0]
    pq = f"PQ {percent(_pq(predictor, inference, sample, predictor.head))}"
    panels = [
        (boxes, ""),
        (_drawn(sample.truth, image, segment_colors(sample.truth, predictor.classes)), ""),
        (affinity, words),
        (_drawn(answer, image, colors), pq),
    ]
    return FigureRow(f"{sample.image_id}\n{why}".strip(), panels)


def _columns(predictor: Predictor) -> list[str]:
    names = ["image", "truth", *(title(head) for head in predictor.heads)]
    return [f"({letter}) {name}" for letter, name in zip("abcdefgh", names, strict=False)]


def _drawn(panoptic: PanopticMap, image: Image.Image, colors: Mapping[int, RGB]) -> Image.Image:
    return overlay(panoptic, image, scale=None, labels=False, colors=colors)


def _pq(predictor: Predictor, inference: Inference, sample: Sample, head: PanopticHead) -> float:
    return mean_pq(count(predictor.answer(inference, head=head), sample.truth, len(predictor.classes)))
