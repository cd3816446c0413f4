"""`unipan compare`: the ways to an answer of one checkpoint, side by side: drawn, where the truth is known, scored."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from unipan.checkpoint import open_run
from unipan.choices import PanopticHead
from unipan.data.coco_json import stem_below
from unipan.data.image_ids import names_apart
from unipan.data.image_paths import check_apart
from unipan.files import TEMPORARY, make_folder, write_json
from unipan.metrics.pq import quality
from unipan.metrics.report import Report, percent
from unipan.metrics.score import Score
from unipan.metrics.segment_matching import match_maps
from unipan.overrides import NO_OVERRIDES, Overrides
from unipan.predictor import Predictor, load
from unipan.recipes.answer_colors import answer_colors
from unipan.recipes.comparison import Comparison, Content, content_of, title
from unipan.recipes.evaluate import evaluation_title
from unipan.recipes.evaluation.result import MASK_FREE
from unipan.recipes.examples import source_of
from unipan.recipes.images import Entry, check_all_read, check_either, fit_to_name_after, held_out_entries, image_files, readable
from unipan.types import PanopticMap
from unipan.viz.canvas import as_pil, enlarge, readable_scale, save_image
from unipan.viz.overlay import overlay
from unipan.viz.sheet import contact_sheet

DRAWING = "_compare.png"
"""Behind the stem of the image's name."""


def compare(
    run: str,
    images: Sequence[Path],
    out: Path,
    *,
    samples: int = 0,
    root: str | None = None,
    overrides: Overrides = NO_OVERRIDES,
    device: str = "auto",
) -> Comparison:
    """Write OUT/STEM_compare.png for each image: itself, its truth where known, and every head's answer.

    images: files, or folders of them; one that can't be read, or that no drawing can be named after, is named and left out.
    samples: instead of images, so many held-out ones of the run; their scores also go to OUT/comparison.json. root: their data
    set's folder where it is no longer the one trained on. overrides: limits and sizes other than the run's.
    """
    check_either(images, samples, root)
    unreadable: list[Path] = []
    if samples:
        entries = held_out_entries(run, samples, "comparing", root=root)
    else:
        files, unreadable = fit_to_name_after(image_files(images, out), f".{DRAWING}{TEMPORARY}")
        names = names_apart(files)
        check_apart(files, [*map(_drawing_name, names)])
        entries = (Entry(names[index], pixels, None) for index, pixels in readable(files, "comparing", unreadable))
    predictor = load(run, device=device, overrides=overrides)
    make_folder(out)
    where = evaluation_title(overrides.applied_to(open_run(run)[1]))
    source = source_of(predictor, open_run(run)[0].path.name, every_head=True)
    comparison = compare_predictor(predictor, entries, out, where, source, unreadable)
    if samples:
        write_json(out / "comparison.json", comparison.to_json())
    return comparison


def compare_predictor(
    predictor: Predictor, entries: Iterator[Entry], out: Path, where: str, source: str, unreadable: list[Path]
) -> Comparison:
    """Compare on all entries.

    where, source: what the reports and the drawings say they are of. unreadable: filled while the entries are read.

    Raises: InputError that names them where no image can be compared.
    """
    contents: dict[PanopticHead, Content] = {head: Content() for head in predictor.heads}
    totals: dict[PanopticHead, Score] = {}
    drawings, mask_free, num_classes = [], False, len(predictor.classes)
    for entry in entries:
        inference = predictor.infer(entry.pixels)
        mask_free = inference.detections.mask_logits is None
        answers: dict[PanopticHead, PanopticMap] = {head: predictor.answer(inference, head=head) for head in predictor.heads}
        scores: dict[PanopticHead, Score] = {}
        for head, answer in answers.items():
            contents[head] += content_of(answer)
            if entry.truth is not None:
                scores[head] = Score.of(match_maps(answer, entry.truth), num_classes)
                totals[head] = totals.get(head, Score.zero(num_classes)) + scores[head]
        drawings.append(out / _drawing_name(entry.name))
        save_image(drawing(predictor, entry, answers, scores, source), drawings[-1])
    if not drawings:
        check_all_read(unreadable)
    reports: dict[PanopticHead, Report] = {head: total.report(where, predictor.classes) for head, total in totals.items()}
    return Comparison(
        contents=contents, reports=reports, drawings=drawings, notes=notes(predictor, mask_free), unreadable=unreadable
    )


def drawing(
    predictor: Predictor, entry: Entry, answers: dict[PanopticHead, PanopticMap], scores: dict[PanopticHead, Score], source: str
) -> Image.Image:
    """One row: image, truth where known, answers with their PQ on this image where known. source: stands above them."""
    image = as_pil(entry.pixels)
    row, titles = [enlarge(image, readable_scale(*image.size))], ["image"]
    if entry.truth is not None:
        row.append(overlay(entry.truth, image, predictor.classes, scale=None))
        titles.append("truth")
    for head, answer in answers.items():
        row.append(overlay(answer, image, scale=None, colors=answer_colors(answer, entry.truth, predictor.classes)))
        score = f", PQ {percent(quality(scores[head].segments, predictor.classes).all.pq)}" if head in scores else ""
        titles.append(title(head) + score)
    return contact_sheet([row], column_titles=titles, row_titles=[[f"{entry.name}. {source}"]])


def notes(predictor: Predictor, mask_free: bool) -> list[str]:
    """What the run was trained for, what is the same for all, and what the baselines do without masks."""
    limit, threshold = predictor.min_stuff_area_px, predictor.admission.score_threshold
    sentences = [
        f"The run was trained for the answer '{title(predictor.head)}'; every answer takes detections with a score of at "
        f"least {threshold:g} and is trimmed alike ({f'stuff under {limit} px' if limit else 'not at all'})."
    ]
    if "unified" not in predictor.heads:
        sentences.append("It has no affinity head, so there is no unified answer.")
    return sentences + ([MASK_FREE[head] for head in predictor.heads if head in MASK_FREE] if mask_free else [])


def _drawing_name(image: str) -> str:
    return stem_below(image) + DRAWING
