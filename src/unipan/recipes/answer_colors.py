"""The colors of an answer that is drawn beside its truth: what was found has the same color in both."""

from unipan.class_colors import RGB
from unipan.classes import ClassTable
from unipan.metrics.segment_matching import match_maps
from unipan.types import PanopticMap
from unipan.viz.colors import segment_colors


def answer_colors(answer: PanopticMap, truth: PanopticMap | None, classes: ClassTable) -> dict[int, RGB]:
    """A color for each of the answer's segment ids: of one that matches a true segment, that which `segment_colors` gives there.

    A thing that matches none has a shade that no true one has. Segments match as PQ counts them: one class, an IoU over 0.5.
    """
    if truth is None:
        return segment_colors(answer, classes)
    true_colors, found = segment_colors(truth, classes), match_maps(answer, truth)
    pairs = zip(found.partners.tolist(), found.pairs.tolist(), strict=True)
    known = {answer.segments[own].id: true_colors[truth.segments[true].id] for own, true in pairs}
    return segment_colors(answer, classes, known, true_colors.values())
