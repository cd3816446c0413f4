"""The Lovasz extension of the Jaccard loss, as hinge on logits and as softmax loss on probabilities.

Written from Berman, Rannen Triki, Blaschko: "The Lovasz-Softmax loss", CVPR 2018. A set of wrongly labelled pixels costs
1 - IoU; the extension carries this to graded errors: sort them, largest first, and weigh each by how much its pixel, joining the
wrong ones, raises the cost. R rows (masks or classes), n pixels, C classes.
"""

import torch
from torch import Tensor


def lovasz_hinge(logits: Tensor, truth: Tensor, valid: Tensor | None = None) -> Tensor:
    """One loss for each row, (R,), in float32 at least: a binary mask's margin violations, weighed by the Jaccard loss.

    logits: (R, n), positive where the mask is believed to be; raw, no sigmoid. truth: (R, n) bool or 0/1.
    valid: (R, n) bool; pixels outside count nowhere. A row without valid pixels costs 0.
    """
    truth = truth.bool()
    logits = _in_full_precision(logits)
    errors = 1 - torch.where(truth, logits, -logits)
    if valid is not None:
        truth = truth & valid
        errors = errors.masked_fill(~valid, 0.0)  # costs nothing, and sorts behind every pixel that costs something
    return (errors.relu() * _jaccard_weights(errors.detach(), truth)).sum(1)


def lovasz_softmax(probs: Tensor, labels: Tensor) -> Tensor:
    """Scalar, in float32 at least: mean over the classes that occur in `labels`; 0, still part of the graph, without pixels.

    probs: (C, n) softmax probabilities of valid pixels. labels: (n,) int64 in 0..C-1.
    Only the classes that occur are copied and sorted, all in one call: memory is linear in their number times n.
    """
    occurs = torch.zeros(probs.shape[0], dtype=torch.bool, device=probs.device).index_fill_(0, labels, True)
    present = occurs.nonzero()[:, 0]
    truth = labels == present[:, None]
    chosen = _in_full_precision(probs[present])
    errors = torch.where(truth, 1 - chosen, chosen)
    return (errors * _jaccard_weights(errors.detach(), truth)).sum() / max(len(present), 1)


def _in_full_precision(values: Tensor) -> Tensor:
    """Half precision can't count pixels; autocast may hand it to us. Doubles stay doubles."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@torch.no_grad()
def _jaccard_weights(errors: Tensor, truth: Tensor) -> Tensor:
    """(R, n): the rise of the Jaccard loss as each pixel joins the wrong ones, rows in falling order of `errors`.

    Constant between two reorderings, hence no gradient. The rise is written out rather than taken as a difference of two losses
    near 1, which would leave hardly a digit in float32 when a mask has millions of pixels:
    a true pixel leaves the intersection I, 1/U; a false one enters the union U, I/(U-1) - I/U.
    """
    order = errors.argsort(dim=1, descending=True)
    joins_true = truth.gather(1, order)
    true_so_far = joins_true.cumsum(1, dtype=torch.int32)
    false_so_far = (~joins_true).cumsum(1, dtype=torch.int32)
    num_true = truth.sum(1, keepdim=True, dtype=torch.int32)
    union = (num_true + false_so_far).to(errors.dtype)
    intersection = (num_true - true_so_far).to(errors.dtype)
    rise_if_false = torch.where(union > 1, intersection / (union * (union - 1)), 1.0)  # the first wrong pixel of an empty mask: 1
    return torch.empty_like(errors).scatter_(1, order, torch.where(joins_true, 1 / union, rise_if_false))
