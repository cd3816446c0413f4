"""Kinds of errors straight from their definitions, by pixel sets; and maps that are repaired pixel by pixel."""

from fractions import Fraction

from pq_oracle import oracle, pixels_of

from unipan.classes import ClassTable
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap, Segment

HALF = Fraction(1, 2)


class Pair:
    """A prediction and its truth as pixel sets, with the errors of their segments by id."""

    def __init__(self, predicted: PanopticMap, true: PanopticMap) -> None:
        self.predicted, self.true = predicted, true
        self.pixels_of_true, self.pixels_of_predicted = pixels_of(true), pixels_of(predicted)
        self.known = {t.id: t for t in true.segments if not t.is_crowd}
        self.found = {p.id: p for p in predicted.segments}
        matched = [(t, p) for t in self.known for p in self.found if self.alike(t, p) and self.iou(t, p) > HALF]
        self.free_true = self.known.keys() - {t for t, _ in matched}
        self.free_predicted = self.found.keys() - {p for _, p in matched}
        self.missed = {t: self.kind_of_true(t) for t in self.free_true}
        self.false = {p: self.kind_of_predicted(p) for p in self.free_predicted if not self.forgiven(self.found[p])}

    def visible(self, p: int) -> set[int]:
        return self.pixels_of_predicted[p] - self.pixels_of_true[0]

    def alike(self, t: int, p: int) -> bool:
        return self.known[t].class_index == self.found[p].class_index

    def shared(self, t: int, p: int) -> int:
        return len(self.pixels_of_true[t] & self.visible(p))

    def iou(self, t: int, p: int) -> Fraction:
        return Fraction(self.shared(t, p), len(self.pixels_of_true[t] | self.visible(p)))

    def forgiven(self, p: Segment) -> bool:
        crowds = [t.id for t in self.true.segments if t.is_crowd and t.class_index == p.class_index]
        hidden = self.pixels_of_true[0] | (self.pixels_of_true[crowds[-1]] if crowds else set())
        return 2 * len(self.pixels_of_predicted[p.id] & hidden) > p.area

    def wrong_class(self, t: int, p: int) -> bool:
        return not self.alike(t, p) and self.iou(t, p) > HALF

    def swallowed_by(self, p: int) -> set[int]:
        """The true segments that one prediction stands for, if they are several."""
        own = {t for t in self.known if self.alike(t, p) and 2 * self.shared(t, p) > len(self.pixels_of_true[t])}
        enough = 2 * sum(self.shared(t, p) for t in own) > len(self.visible(p))
        return own if len(own) > 1 and enough else set()

    def pieces_of(self, t: int) -> set[int]:
        """The predictions that stand for one true segment, if they are several."""
        own = {p for p in self.found if self.alike(t, p) and 2 * self.shared(t, p) > len(self.visible(p))}
        enough = 2 * sum(self.shared(t, p) for p in own) > len(self.pixels_of_true[t])
        return own if len(own) > 1 and enough else set()

    def near(self, t: int, p: int) -> bool:
        free = t in self.free_true and p in self.free_predicted
        return free and self.alike(t, p) and self.iou(t, p) >= Fraction(1, 10)

    def kind_of_true(self, t: int) -> str:
        if any(self.wrong_class(t, p) for p in self.found):
            return "wrong class"
        if any(t in self.swallowed_by(p) for p in self.found):
            return "merged"
        if self.pieces_of(t):
            return "split"
        return "badly outlined" if any(self.near(t, p) for p in self.found) else "missed"

    def kind_of_predicted(self, p: int) -> str:
        if any(self.wrong_class(t, p) for t in self.known):
            return "wrong class"
        if self.swallowed_by(p):
            return "merged"
        if any(p in self.pieces_of(t) for t in self.known):
            return "split"
        return "badly outlined" if any(self.near(t, p) for t in self.known) else "extra"

    def repaired(self, kind: str, classes: ClassTable) -> PanopticMap:
        """The prediction without the errors of one kind."""
        ids, labels = self.predicted.ids.clone(), {p.id: p.class_index for p in self.predicted.segments}
        if kind == "wrong class":
            labels |= {p: self.known[t].class_index for t in self.known for p in self.found if self.wrong_class(t, p)}
        else:
            for p in (p for p, own in self.false.items() if own == kind):
                ids[self.predicted.ids == p] = 0
            for t in (t for t, own in self.missed.items() if own == kind):
                new = max(labels, default=0) + 1
                ids[self.true.ids == t] = new
                labels[new] = self.known[t].class_index
        return panoptic_map(ids, [Label(number, class_index) for number, class_index in labels.items()], classes)

    def counts_if_repaired(self, kind: str, classes: ClassTable) -> list[list[Fraction]]:
        """For each class: summed IoU, matched, extra, missed of the repaired map."""
        return oracle(self.repaired(kind, classes), self.true, len(classes))
