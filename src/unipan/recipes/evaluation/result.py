"""What an evaluation found, as people and programs read it."""

from dataclasses import asdict, dataclass
from math import isnan
from typing import Any, NamedTuple

from unipan.choices import PanopticHead
from unipan.classes import ClassTable
from unipan.console import Table
from unipan.metrics.average_precision import MISSING, Precision
from unipan.metrics.confusion import Confusion, ThingStuffConfusion, pixels_by_name, thing_stuff_confusion
from unipan.metrics.report import MEASURES_SENTENCE, Report, percent, without_nan
from unipan.models import heuristic, upsnet
from unipan.recipes.evaluation.limits import Limits
from unipan.recipes.evaluation.propagation import PropagationPart

MASK_FREE: dict[PanopticHead, str] = {"upsnet": upsnet.MASK_FREE, "heuristic": heuristic.MASK_FREE}
"""What a head that expects masks does without them."""


NAMED_IMAGES = 10
"""So many worst and best images are named in the JSON."""


class ImagePQ(NamedTuple):
    """How one image fared."""

    position: int  # in its data set
    name: str  # of its file
    pq: float  # 0..1, the mean over the classes in it
    things: int  # of its truth


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a run is worth.

    `to_json` holds fractions 0..1, null where there is nothing to judge:

    - answer: what `Report.to_json` says;
    - average_precision.{box, mask}.{ap, ap50, ap75, per_class}: mask is null without masks, and average_precision as a whole
      without the extra `coco`;
    - thing_stuff_confusion.{semantic_head, final_answer}.{things_as_things, things_as_stuff, things_as_void, stuff_as_things,
      stuff_as_stuff, stuff_as_void}: rows normalised (its Table B);
    - class_confusion.{semantic_head, final_answer}: true class -> predicted class, or (void) -> pixels, where there are any;
    - limits: what `Limits.to_json` says;
    - images.{worst, best}: lists of {name, pq}, the worst and the best image first, at most NAMED_IMAGES of them;
    - head, mask_free; and for the unified head what `PropagationPart.to_json` says: without_propagation,
      propagation_effect, affinity.{told_apart, told_apart_by_chance, pixels_told_apart, affinity_on_own, area_of_own}, scale,
      unary_scale.
    """

    answer: Report
    precision: Precision | None
    """None without the library that measures it."""
    semantic_head: Confusion
    final_answer: Confusion
    classes: ClassTable
    head: PanopticHead
    """How the answers were read off the network's outputs."""
    mask_free: bool
    """The detections came without masks."""
    limits: Limits
    """What they keep from the answers."""
    images: tuple[ImagePQ, ...]
    """In the data set's order."""
    propagation: PropagationPart | None
    """What propagation adds; None where answers come without it."""

    def by_pq(self) -> list[ImagePQ]:
        """The images from the worst to the best, of equals the earlier first; those without a segment are left out."""
        return sorted((image for image in self.images if not isnan(image.pq)), key=lambda image: image.pq)

    def thing_stuff(self) -> dict[str, ThingStuffConfusion]:
        """The paper's Table B, of the semantic head and of the answer."""
        sides = {"semantic_head": self.semantic_head, "final_answer": self.final_answer}
        return {name: thing_stuff_confusion(confusion, self.classes) for name, confusion in sides.items()}

    def further_tables(self) -> list[Table]:
        """Sizes, detections, things against stuff, and propagation's part, where there is one."""
        tables = [
            self.answer.size_table(),
            *([_precision_table(self.precision)] if self.precision else []),
        ]
        tables.append(_thing_stuff_table(self.thing_stuff()))
        return tables + ([self.propagation.table(self.answer)] if self.propagation else [])

    def sentences(self) -> list[str]:
        """What the measures are of, what limits cost, and what propagation does or what the head is."""
        sentences = [MEASURES_SENTENCE, *([] if self.precision else [MISSING]), self._things_sentence(), *self.limits.sentences()]
        if self.propagation:
            return sentences + self.propagation.sentences(self.answer)
        if self.mask_free and self.head in MASK_FREE:
            return [*sentences, f"Head: {self.head}.", MASK_FREE[self.head]]
        return [*sentences, f"Head: {self.head}."]

    def _things_sentence(self) -> str:
        things = [entry for entry in self.answer.quality.per_class if entry.is_thing]
        matched, extra, missed = (sum(getattr(entry, name) for entry in things) for name in ("matched", "extra", "missed"))
        return f"Things: {matched} matched, {extra} false, {missed} missed."

    def to_json(self) -> dict[str, Any]:
        by_pq = [{"name": image.name, "pq": image.pq} for image in self.by_pq()]
        own = {
            "answer": self.answer.to_json(),
            "average_precision": without_nan(asdict(self.precision)) if self.precision else None,
            "thing_stuff_confusion": {name: without_nan(asdict(shares)) for name, shares in self.thing_stuff().items()},
            "class_confusion": {
                "semantic_head": pixels_by_name(self.semantic_head, self.classes),
                "final_answer": pixels_by_name(self.final_answer, self.classes),
            },
            "limits": self.limits.to_json(),
            "images": {"worst": by_pq[:NAMED_IMAGES], "best": by_pq[::-1][:NAMED_IMAGES]},
            "head": self.head,
            "mask_free": self.mask_free,
        }
        return own | (self.propagation.to_json() if self.propagation else {})


def _precision_table(precision: Precision) -> Table:
    table = Table("Detections, COCO's AP", "", "AP", "AP50", "AP75")
    for name, measured in (("boxes", precision.box), ("masks", precision.mask)):
        if measured:
            table.add_row(name, *map(percent, (measured.ap, measured.ap50, measured.ap75)))
    return table


def _thing_stuff_table(sides: dict[str, ThingStuffConfusion]) -> Table:
    with_void = any(shares.things_as_void > 0 or shares.stuff_as_void > 0 for shares in sides.values())
    table = Table("Pixels taken for, in percent", "", "thing", "stuff", *(["void"] if with_void else []))
    for side, shares in sides.items():
        things = (shares.things_as_things, shares.things_as_stuff, shares.things_as_void)
        stuff = (shares.stuff_as_things, shares.stuff_as_stuff, shares.stuff_as_void)
        for kind, row in (("thing", things), ("stuff", stuff)):
            table.add_row(f"{kind} pixels, {side.replace('_', ' ')}", *map(percent, row if with_void else row[:2]))
    return table
