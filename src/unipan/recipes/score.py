"""Panoptic quality and IoU of two sets of files in the COCO panoptic format; no model, no images."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from unipan.choices import Merge
from unipan.classes import VOID_ID
from unipan.console import counted, logger
from unipan.data.coco_files import PanopticFile, read_panoptic_file
from unipan.data.id_maps import ids_at, read_colors, shared_runs
from unipan.engine.forks import shared_out, worthwhile_processes
from unipan.errors import InputError, about, path_of
from unipan.metrics.report import Report
from unipan.metrics.score import Score
from unipan.metrics.segment_matching import Matching, match_maps, match_segments
from unipan.ops.id_lookup import indices_of
from unipan.ops.segments import Label, joined_labels
from unipan.recipes.image_pairs import pair_images

PAIRS_EACH = 20
"""From so many pairs on a further process is clearly worth its start."""
AT_ONCE = 16
"""Images whose matched segments are counted together."""


def score(
    truth_json: str | Path,
    predictions_json: str | Path,
    *,
    truth_dir: str | Path | None = None,
    predictions_dir: str | Path | None = None,
    merge: Merge = "none",
) -> Report:
    """Compare predictions with the truth: every image of the truth must have a prediction, further predictions are left out.

    truth_dir, predictions_dir: the PNG folders; without them, the folders beside the JSONs that have their names without `.json`.
    merge: `supercategory` compares with the merged truth, as training with `data.merge` does; predictions in the unmerged
        categories are merged likewise. Categories are told apart by name; predictions that list none use the truth's ids.

    Images are joined by the names of their files, if both JSONs list them and any fits; else by image id, or, where a
    prediction's id is not in the truth, by the stem of its PNG. Names fit that differ in leading folders that one of them lacks.
    """
    sides = read_sides(truth_json, predictions_json, truth_dir=truth_dir, predictions_dir=predictions_dir, merge=merge)
    return sides.report(sides.score(sides.pairs()))


@dataclass(frozen=True)
class Sides:
    """What is compared: both in the truth's classes."""

    truth: PanopticFile
    predictions: PanopticFile
    merge: Merge

    def pairs(self) -> list[tuple[int, int]]:
        """For every image of the truth, in its order: its position and its prediction's."""
        return pair_images(self.truth, self.predictions)

    def score(self, pairs: list[tuple[int, int]]) -> Score:
        """What some of the pairs add up to."""
        return _score_all(self.truth, self.predictions, pairs)

    def report(self, total: Score) -> Report:
        """The report of all images."""
        return total.report(f"{self.predictions.path.name} against {self.truth.path.name}", self.truth.classes)


def read_sides(
    truth_json: str | Path,
    predictions_json: str | Path,
    *,
    truth_dir: str | Path | None = None,
    predictions_dir: str | Path | None = None,
    merge: Merge = "none",
) -> Sides:
    """Read both files, as `score` takes them."""
    if merge not in get_args(Merge):
        raise InputError(f"there is no merge {merge!r}; choose one of {', '.join(get_args(Merge))}.")
    files = path_of("the truth", truth_json), path_of("the predictions", predictions_json)
    folders = [path_of("a folder of PNGs", folder) if folder else None for folder in (truth_dir, predictions_dir)]
    truth = read_panoptic_file(files[0], folders[0])
    predictions = read_panoptic_file(files[1], folders[1], truth.classes)
    if truth.has_scores and not predictions.has_scores:
        logger.warning(f"{truth.path} has scores and {predictions.path} has none: are they swapped? The truth comes first.")
    if merge == "none":
        return Sides(truth, _translated(predictions, truth), merge)
    merged = truth.merged()
    if _names(predictions) == _names(merged):
        return Sides(merged, _translated(predictions, merged), merge)
    return Sides(merged, _translated(predictions, truth).merged(), merge)


def _score_all(truth: PanopticFile, predictions: PanopticFile, pairs: list[tuple[int, int]]) -> Score:
    """Pair by pair, matched in several processes.

    No threads: the fast decoder does not let go of Python meanwhile, so that two of them took longer than one.
    """
    num_classes = len(truth.classes)

    def match_pair(pair: tuple[int, int]) -> Matching:
        return _match_colors(truth, predictions, *pair) or _match_carefully(truth, predictions, *pair)

    with shared_out(match_pair, pairs, worthwhile_processes(len(pairs), PAIRS_EACH)) as matchings:
        turns = iter(counted(matchings, "scoring", len(pairs), transient=True))
        batches = iter(lambda: list(islice(turns, AT_ONCE)), [])
        return sum((Score.of_images(batch, num_classes) for batch in batches), Score.zero(num_classes))


def _match_carefully(truth: PanopticFile, predictions: PanopticFile, true_position: int, position: int) -> Matching:
    """Match one pair by its maps, which tells in words what is wrong with them."""
    true, predicted = truth.map(true_position), predictions.map(position)
    with about(predictions.png(position)):
        return match_maps(predicted, true)


def _match_colors(truth: PanopticFile, predictions: PanopticFile, true_position: int, position: int) -> Matching | None:
    """Match one pair without making its id maps; None where the files disagree, which the careful way tells in words."""
    true_colors, colors = read_colors(truth.png(true_position)), read_colors(predictions.png(position))
    if true_colors.shape != colors.shape:
        return None
    starts, lengths = shared_runs(colors, true_colors)
    rows = _indices(truth, true_position, ids_at(true_colors, starts))
    columns = _indices(predictions, position, ids_at(colors, starts))
    return match_segments(rows[0], columns[0], lengths, columns[1], rows[1]) if rows and columns else None


def _indices(file: PanopticFile, position: int, ids: NDArray[np.int32]) -> tuple[NDArray[np.int64], list[Label]] | None:
    """Which of the image's segments each id is of, counted from 1, 0 for void; and what the segments are.

    None where an id has no segment, or a segment no id.
    """
    labels = file.labels(position)
    rows = indices_of(ids, [VOID_ID, *(label.id for label in labels)])
    there = np.bincount(rows, minlength=len(labels) + 2) > 0
    if there[-1] or not there[1:-1].all():
        return None
    if not file.joins_stuff:
        return rows, labels
    joined, new_position = joined_labels(labels, file.classes)
    return np.array([0, *(index + 1 for index in new_position)]).take(rows), joined


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
