"""Panoptic quality straight from its published definition, by pixel sets and fractions; and a way to damage a truth."""

import random
from fractions import Fraction

from torch import Tensor

from unipan.classes import ClassTable
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap


def pixels_of(panoptic: PanopticMap) -> dict[int, set[int]]:
    sets: dict[int, set[int]] = {0: set()}
    for position, number in enumerate(panoptic.ids.flatten().tolist()):
        sets.setdefault(number, set()).add(position)
    return sets


def oracle(predicted: PanopticMap, true: PanopticMap, num_classes: int) -> list[list[Fraction]]:
    """For each class: summed IoU, matched, extra, missed."""
    rows = [[Fraction(0)] * 4 for _ in range(num_classes)]
    true_pixels, predicted_pixels = pixels_of(true), pixels_of(predicted)
    void = true_pixels[0]
    paired_true, paired_predicted = set(), set()
    for t in true.segments:
        for p in predicted.segments:
            if t.is_crowd or t.class_index != p.class_index:
                continue
            judged = predicted_pixels[p.id] - void
            iou = Fraction(len(true_pixels[t.id] & judged), len(true_pixels[t.id] | judged))
            if iou > Fraction(1, 2):
                paired_true.add(t.id)
                paired_predicted.add(p.id)
                rows[t.class_index][0] += iou
                rows[t.class_index][1] += 1
    for t in true.segments:
        if not t.is_crowd and t.id not in paired_true:
            rows[t.class_index][3] += 1
    for p in predicted.segments:
        if p.id in paired_predicted:
            continue
        crowds = [t.id for t in true.segments if t.is_crowd and t.class_index == p.class_index]
        forgiven = void | (true_pixels[crowds[-1]] if crowds else set())  # the reference knows one crowd of a class: the last
        if Fraction(len(predicted_pixels[p.id] & forgiven), len(predicted_pixels[p.id])) <= Fraction(1, 2):
            rows[p.class_index][2] += 1
    return rows


def damaged(true: PanopticMap, classes: ClassTable, rng: random.Random) -> PanopticMap:
    """The truth after an accident: shifted, two segments merged, one dropped, a rectangle erased, a class changed."""
    ids = shifted(true.ids, rng.randint(-3, 3), rng.randint(-3, 3))
    labels = [Label(segment.id, segment.class_index) for segment in true.segments]
    if len(labels) > 1:
        kept, swallowed = rng.sample(labels, 2)
        ids = ids.masked_fill(ids == swallowed.id, kept.id)
        ids = ids.masked_fill(ids == rng.choice(labels).id, 0)
        changed = rng.randrange(len(labels))
        labels[changed] = Label(labels[changed].id, rng.randrange(len(classes)))
    height, width = ids.shape
    top, left = rng.randrange(height), rng.randrange(width)
    ids[top : top + height // 3, left : left + width // 3] = 0
    return panoptic_map(ids, labels, classes)


def shifted(ids: Tensor, down: int, right: int) -> Tensor:
    return ids.roll((down, right), (0, 1)).clone()
