"""The illustrated report of a run: what it scores, how it learnt, and for a dozen held-out images what it sees."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from unipan.checkpoint import RunFolder, open_run
from unipan.choices import PanopticHead
from unipan.data.build import validation_dataset
from unipan.data.dataset import PanopticDataset
from unipan.engine.processes import this_process
from unipan.metrics.confusion import VOID_NAME
from unipan.metrics.report import percent, stuff_iou
from unipan.predictor import Predictor, load
from unipan.recipes.evaluate import evaluate, evaluated, marked
from unipan.recipes.evaluation.result import Evaluation, ImagePQ
from unipan.recipes.examples import example, explorer_of, source_of
from unipan.recipes.explore import Entry, explored
from unipan.recipes.training.log import read_log
from unipan.types import Sample
from unipan.viz.canvas import save_image
from unipan.viz.confusion import draw_confusion
from unipan.viz.curves import loss_curves, need_matplotlib, reliability_curve
from unipan.viz.explorer.page import explorer_page
from unipan.viz.report import Example, Gallery, ReportTable, write_report
from unipan.viz.sheet import contact_sheet

EXTREMES = 6
"""So many of the worst images are shown, and of the best."""
SHEET_ROWS = 4


def report(
    run: str,
    *,
    root: str | None = None,
    val: str = "",
    images: str = "",
    head: PanopticHead | None = None,
    explore: bool = False,
    device: str = "auto",
) -> Path:
    """Evaluate a run, as `evaluate` does, and write RUN/report.html, whose path is returned, and RUN/examples.jpg.

    The page of another head or of other images bears their names, as the metrics do. explore: make an explorer page of each image
    that is shown, in RUN/explorer (marked likewise); the report leads to such pages wherever they are.
    """
    need_matplotlib()
    evaluation = evaluate(run, root=root, val=val, images=images, head=head, device=device)
    folder, config, _ = open_run(run)
    page = marked(folder.path / "report.html", config, evaluation.head, val)
    if this_process().is_main:
        dataset = validation_dataset(evaluated(config.data, root=root, val=val, images=images))
        predictor = load(run, head=head, device=device)
        illustrate(folder, predictor, dataset, evaluation, facts=[("steps", str(config.train.steps))], page=page, explore=explore)
    return page


def illustrate(
    folder: RunFolder,
    predictor: Predictor,
    dataset: PanopticDataset,
    evaluation: Evaluation,
    *,
    facts: Sequence[tuple[str, str]],
    page: Path,
    explore: bool = False,
) -> None:
    """Write `page`, an HTML file, and beside it examples.jpg. facts: further headline numbers. explore: as in `report`."""
    everything = evaluation.answer.quality
    headline = [
        ("PQ", percent(everything.all.pq)),
        ("PQ things", percent(everything.things.pq)),
        ("PQ stuff", percent(everything.stuff.pq)),
        ("IoU stuff", percent(stuff_iou(evaluation.answer))),
    ]
    if evaluation.propagation:
        headline.append(("PQ, propagation off", percent(evaluation.propagation.without.quality.all.pq)))
    answer, calibration = evaluation.answer, evaluation.answer.calibration
    parts = extremes(evaluation.by_pq())
    if explore:
        for position in (image.position for _, _, images in parts for image in images):
            _explore(predictor, dataset[position], folder.path.name, page)
    shown = [
        Gallery(heading, sentence, [example(predictor, dataset[image.position], page) for image in images])
        for heading, sentence, images in parts
    ]
    write_report(
        page,
        title=f"unipan: {folder.path.name}, {answer.title}",
        source=source_of(predictor, folder.path.name),
        facts=[*headline, *facts],
        tables=[_plain(table) for table in (answer.table(), answer.class_table(), *evaluation.further_tables())],
        errors=[_plain(table) for table in answer.error_tables()],
        reliability=calibration
        and reliability_curve([(b.mean_score, b.matched, b.things) for b in calibration.bins if b.things]),
        curves=loss_curves(read_log(folder.log)),
        galleries=shown,
        confusions=confusion_drawings(evaluation),
        notes=evaluation.sentences(),
    )
    examples = [example for gallery in reversed(shown) for example in gallery.examples]
    telling = [example for example in examples if example.affinity] or examples
    source = source_of(predictor, folder.path.name)
    save_image(sheet(telling[:SHEET_ROWS], source), page.with_name(page.stem.replace("report", "examples") + ".jpg"))


def extremes(by_pq: list[ImagePQ]) -> list[tuple[str, str, list[ImagePQ]]]:
    """Headings, sentences, and the worst images and the best; where there are few, all of them as one. by_pq: worst first.

    The best are of those that hold a thing, where there are any: one of sky and water is easy, and shows little.
    """
    if len(by_pq) <= 2 * EXTREMES:
        return [("All images", "From the worst PQ to the best.", by_pq)]
    worst, others = by_pq[:EXTREMES], by_pq[EXTREMES:]
    with_things = [image for image in others if image.things]
    best = (with_things or others)[: -EXTREMES - 1 : -1]
    among = " among those with things" if with_things else ""
    return [
        ("Worst images", f"The {len(worst)} of {len(by_pq)} with the least PQ, the worst first.", worst),
        ("Best images", f"The {len(best)} with the greatest PQ{among}, the best first.", best),
    ]


def _explore(predictor: Predictor, sample: Sample, run: str, page: Path) -> None:
    entry = Entry(sample.file_name, sample.image, sample.truth)
    explorer_page([explored(predictor, entry, run=run)]).save(page.parent / explorer_of(page, sample.file_name))


def sheet(examples: Sequence[Example], source: str) -> Image.Image:
    """The first few examples as one image, for a page or a talk, which names what they are of."""
    titles = ["image", "truth", "detections", "answer"]
    rows = [[e.image, e.truth, e.detections, e.answer, *(drawn for _, drawn in e.affinity[:1])] for e in examples]
    if any(e.affinity for e in examples):
        titles.append("of one segment with the crossed pixel")
    return contact_sheet(rows, column_titles=titles, row_titles=[[f"{e.name}. {source}"] for e in examples])


def confusion_drawings(evaluation: Evaluation) -> list[tuple[str, Image.Image]]:
    """Of the final answer and of the semantic head; none where no pixel has a known class."""
    sides = {"of the final answer": evaluation.final_answer, "of the semantic head": evaluation.semantic_head}
    both, classes = [side.pixels for side in sides.values()], evaluation.classes
    drawn = [(name, draw_confusion(side.pixels, classes, void=VOID_NAME, beside=both)) for name, side in sides.items()]
    return [(name, drawing) for name, drawing in drawn if drawing]


def _plain(table) -> ReportTable:
    """A rich table's texts."""
    columns = [list(column.cells) for column in table.columns]
    header = [str(column.header) for column in table.columns]
    return ReportTable(table.heading, header, [[str(text) for text in row] for row in zip(*columns, strict=True)])
