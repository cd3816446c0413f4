"""Does an admitted detection stand for a true thing? N admitted detections of one image."""

from collections.abc import Sequence

import torch.nn.functional as F

from unipan.losses.detection_matching import match_detections
from unipan.terms import Term, add_terms
from unipan.types import Outputs, Target


def existence_terms(outputs: Outputs, targets: Sequence[Target]) -> dict[str, Term]:
    """The term "existence": binary cross-entropy over admitted detections, true where `match_detections` finds a thing."""
    parts: list[dict[str, Term]] = []
    images = zip(outputs.existence, outputs.detections, outputs.admitted, targets, strict=True)
    for logits, detections, admitted, target in images:
        matched = match_detections(detections.boxes[admitted], detections.labels[admitted], target) >= 0
        loss = F.binary_cross_entropy_with_logits(logits, matched.to(logits.dtype), reduction="sum")
        parts.append({"existence": Term(loss, loss.new_full((), len(logits)))})
    return add_terms(parts)
