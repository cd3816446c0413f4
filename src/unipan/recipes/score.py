"""Panoptic quality and IoU of two sets of files in the COCO panoptic format; no model, no images."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unipan.choices import Merge
from unipan.classes import VOID_ID
from unipan.console import counted
from unipan.data.coco_files import ImageId, PanopticFile, read_panoptic_file
from unipan.data.coco_json import stem_below
from unipan.data.id_maps import ids_at, read_colors, shared_runs
from unipan.engine.forks import shared_out, worthwhile_processes
from unipan.errors import InputError
from unipan.metrics.report import Report
from unipan.metrics.score import Score
from unipan.metrics.segment_matching import Matching, match_maps, match_segments
from unipan.ops.segments import Label, indices_of, joined_labels

PAIRS_EACH = 20
"""From so many pairs on a further process is clearly worth its start."""


def score(
    truth_json: Path,
    predictions_json: Path,
    *,
    truth_dir: Path | None = None,
    predictions_dir: Path | None = None,
    merge: Merge = "none",
) -> Report:
    """Compare predictions with the truth: every image of the truth must have a prediction, further predictions are left out.

    truth_dir, predictions_dir: the PNG folders; without them, the folders beside the JSONs that have their names without `.json`.
    merge: `supercategory` compares with the merged truth, as training with `data.merge` does; predictions in the unmerged
        categories are merged likewise. Categories are told apart by name; predictions that list none use the truth's ids.

    Images are joined by the names of their files, where both JSONs list them and they fit; else by image id, or, where a
    prediction's id is not in the truth, by the stem of its PNG.
    """
    truth = read_panoptic_file(truth_json, truth_dir)
    predictions = read_panoptic_file(predictions_json, predictions_dir, truth.classes)
    if merge == "supercategory":
        merged = truth.merged()
        if _names(predictions) == _names(merged):
            predictions = _translated(predictions, merged)
        else:
            predictions = _translated(predictions, truth).merged()
        truth = merged
    else:
        predictions = _translated(predictions, truth)
    total = _score_all(truth, predictions, pair_images(truth, predictions))
    return total.report(f"{predictions_json.name} against {truth_json.name}", truth.classes)


def pair_images(truth: PanopticFile, predictions: PanopticFile) -> list[tuple[ImageId, ImageId]]:
    """For every image of the truth, in its order: its id and its prediction's id."""
    if not truth.annotations:
        raise InputError(f"{truth.path} has no annotations, so there is nothing to compare with; name the right file.")
    names = {image_id: truth.image_names.get(image_id, "") for image_id in truth.annotations}
    by_image = _unique_stems({image_id: {name} for image_id, name in names.items() if name})
    by_any = _unique_stems(
        {i: {annotation.file_name, names[i] or annotation.file_name} for i, annotation in truth.annotations.items()}
    )
    found: dict[ImageId, ImageId] = {}
    for predicted_id, annotation in predictions.annotations.items():
        true_id = _named(predictions.image_names.get(predicted_id, ""), by_image)
        if true_id is None:
            true_id = predicted_id if predicted_id in truth.annotations else _named(annotation.file_name, by_any)
        if true_id in found:
            raise InputError(
                f"{predictions.path} has two predictions for the image {true_id}: {found[true_id]} and {predicted_id}; keep one."
            )
        if true_id is not None:
            found[true_id] = predicted_id
    absent = [image_id for image_id in truth.annotations if image_id not in found]
    if absent:
        first = f"{truth.annotations[absent[0]].file_name} (image id {absent[0]})"
        raise InputError(
            f"{predictions.path} lacks {len(absent)} of the {len(truth.annotations)} images in {truth.path.name}, first {first}; "
            "predict them too (an image may have no segments), or take them out of the truth."
        )
    return [(image_id, found[image_id]) for image_id in truth.annotations]


def _named(file_name: str, by_stem: dict[str, ImageId]) -> ImageId | None:
    return by_stem.get(stem_below(file_name), by_stem.get(Path(file_name).stem))


def _unique_stems(names: dict[ImageId, set[str]]) -> dict[str, ImageId]:
    """The names' stems, with and without their folders, where they name one image only."""
    owners: dict[str, set[ImageId]] = {}
    for image_id, own in names.items():
        for name in own:
            for stem in (stem_below(name), Path(name).stem):
                owners.setdefault(stem, set()).add(image_id)
    return {stem: next(iter(ids)) for stem, ids in owners.items() if len(ids) == 1}


def _score_all(truth: PanopticFile, predictions: PanopticFile, pairs: list[tuple[ImageId, ImageId]]) -> Score:
    """Pair by pair, matched in several processes.

    No threads: the fast decoder does not let go of Python meanwhile, so that two of them took longer than one.
    """
    num_classes = len(truth.classes)

    def match_pair(pair: tuple[ImageId, ImageId]) -> Matching:
        true_id, predicted_id = pair
        found = _match_colors(truth, true_id, predictions, predicted_id)
        return found or _match_carefully(truth, true_id, predictions, predicted_id)

    with shared_out(match_pair, pairs, worthwhile_processes(len(pairs), PAIRS_EACH)) as matchings:
        scores = (Score.of(found, num_classes) for found in counted(matchings, "scoring", len(pairs), transient=True))
        return sum(scores, Score.zero(num_classes))


def _match_carefully(truth: PanopticFile, true_id: ImageId, predictions: PanopticFile, predicted_id: ImageId) -> Matching:
    """Match one pair by its maps, which tells in words what is wrong with them."""
    true, predicted = truth.map(true_id), predictions.map(predicted_id)
    try:
        return match_maps(predicted, true)
    except InputError as error:
        raise InputError(f"{predictions.png(predicted_id)}: {error}") from error


def _match_colors(truth: PanopticFile, true_id: ImageId, predictions: PanopticFile, predicted_id: ImageId) -> Matching | None:
    """Match one pair without making its id maps; None where the files disagree, which the careful way tells in words."""
    true_colors, colors = read_colors(truth.png(true_id)), read_colors(predictions.png(predicted_id))
    if true_colors.shape != colors.shape:
        return None
    starts, lengths = shared_runs(colors, true_colors)
    rows = _indices(truth, true_id, ids_at(true_colors, starts))
    columns = _indices(predictions, predicted_id, ids_at(colors, starts))
    return match_segments(rows[0], columns[0], lengths, columns[1], rows[1]) if rows and columns else None


def _indices(file: PanopticFile, image_id: ImageId, ids: NDArray[np.int32]) -> tuple[NDArray[np.int64], list[Label]] | None:
    """Which of the image's segments each id is of, counted from 1, 0 for void; and what the segments are.

    None where an id has no segment, or a segment no id.
    """
    labels = file.labels(image_id)
    positions = indices_of(ids, [VOID_ID, *(label.id for label in labels)])
    there = np.bincount(positions, minlength=len(labels) + 2) > 0
    if there[-1] or not there[1:-1].all():
        return None
    if not file.joins_stuff:
        return positions, labels
    joined, position = joined_labels(labels, file.classes)
    return np.array([0, *(index + 1 for index in position)]).take(positions), joined


def _translated(predictions: PanopticFile, truth: PanopticFile) -> PanopticFile:
    """The predictions in the truth's classes, found by name. A thing that is stuff in the other file is an InputError."""
    kinds = {info.name: info.is_thing for info in truth.classes.classes}
    for info in predictions.classes.classes:
        if kinds.get(info.name, info.is_thing) != info.is_thing:
            came, expected = ("a thing", "stuff") if info.is_thing else ("stuff", "a thing")
            raise InputError(
                f"{info.name} is {came} in {predictions.path}, but {expected} in {truth.path}; both files must use the same "
                "categories."
            )
    return predictions.with_classes_of(truth.classes)


def _names(file: PanopticFile) -> set[str]:
    return {info.name for info in file.classes.classes}
