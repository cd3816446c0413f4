"""The Lovasz extension of the Jaccard loss, as hinge on logits and as softmax loss on probabilities.

Written from Berman, Rannen Triki, Blaschko: "The Lovasz-Softmax loss", CVPR 2018. A set of wrongly labelled pixels costs
1 - IoU; the extension carries this to graded errors: sort them, largest first, and weigh each by how much its pixel, joining the
wrong ones, raises the cost. R rows (masks or classes), n pixels, C classes.
"""

import torch
from torch import Tensor

from unipan.ops.jaccard import jaccard_weights
from unipan.ops.precision import full_precision


def lovasz_hinge(logits: Tensor, truth: Tensor, valid: Tensor | None = None) -> Tensor:
    """One loss for each row, (R,), in float32 at least: a binary mask's margin violations, weighed by the Jaccard loss.

    logits: (R, n), positive where the mask is believed to be; raw, no sigmoid. truth: (R, n) bool or 0/1.
    valid: (R, n) bool; pixels outside count nowhere. A row without valid pixels costs 0.
    """
    truth = truth.bool()
    logits = full_precision(logits)
    errors = 1 - torch.where(truth, logits, -logits)
    if valid is not None:
        truth = truth & valid
        errors = errors.masked_fill(~valid, 0.0)  # costs nothing, and sorts behind every pixel that costs something
    return (errors.relu() * jaccard_weights(errors.detach(), truth)).sum(1)


def lovasz_softmax(probs: Tensor, labels: Tensor) -> Tensor:
    """Scalar, in float32 at least: mean over the classes that occur in `labels`; 0, still part of the graph, where none does.

    probs: (C, n) softmax probabilities. labels: (n,) int64 in 0..C-1, or below 0 for a pixel that counts nowhere.
    Only the classes that occur are copied and sorted: memory is linear in their number times n. Pixels that don't count are
    sorted with the others, which takes less than leaving them out of a copy.
    """
    counted = labels >= 0
    occurs = torch.zeros(probs.shape[0], dtype=torch.bool, device=probs.device).index_fill_(0, labels[counted], True)
    present = occurs.nonzero()[:, 0]
    truth = labels == present[:, None]
    chosen = full_precision(probs[present])
    errors = torch.where(truth, 1 - chosen, chosen).masked_fill(~counted, 0.0)  # costs nothing, and sorts behind what costs
    return (errors * jaccard_weights(errors.detach(), truth)).sum() / max(len(present), 1)
