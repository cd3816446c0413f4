"""Spreading evidence along the learnt affinity, never building the P x P matrix.

K channels; P = h*w cells; D features of a cell. Potentials Psi (K, P) are probabilities, so not negative; features Q (P, D) are
rows, one for each cell. With affinity A (P, P), evidence is E = Psi A^T: cell i takes A[i, j] of what cell j holds.
The paper's stored text does not give the operation; the forms are our choice.
"""

from typing import Literal, NamedTuple, assert_never

import torch
from torch import Tensor
from torch.nn import functional as F

from unipan.choices import Propagation
from unipan.errors import InputError
from unipan.ops.precision import full_precision

MAX_SOFTMAX_CELLS = 32_768
"""Largest map that `softmax` takes unless told otherwise: its time grows with the square of the cells."""

MIN_WEIGHT = 1e-3
"""Cells of evidence below which a channel's pooled descriptor fades to 0, so that its gradient stays bounded."""


def propagate(potentials: Tensor, features: Tensor, form: Propagation, *, max_softmax_cells: int = MAX_SOFTMAX_CELLS) -> Tensor:
    """Evidence (K, P) from potentials (K, P) and features (P, D), in float32 at least, autocast or not."""
    psi, q = full_precision(potentials), full_precision(features)
    with torch.autocast(q.device.type, enabled=False):  # sums over 100,000 cells do not fit into bfloat16
        match form:
            case "none":
                return none(psi, q)
            case "dot":
                return dot(psi, q)
            case "pooled":
                return pooled(psi, q)
            case "normalised":
                return normalised(psi, q)
            case "softmax":
                return softmax(psi, q, max_cells=max_softmax_cells)
        assert_never(form)


def none(potentials: Tensor, features: Tensor) -> Tensor:
    """The ablation's zero: A = 1, the potentials themselves."""
    return potentials


def dot(potentials: Tensor, features: Tensor) -> Tensor:
    """A = Q Q^T / P: plain scalar products, averaged over the cells."""
    return (potentials @ features) @ features.T / features.shape[0]


def pooled(potentials: Tensor, features: Tensor) -> Tensor:
    """Each channel's descriptor is the Psi-weighted mean of Q; its evidence is descriptor . q_i / sqrt(D).

    A channel without any weight has descriptor 0.
    """
    weight = potentials.sum(1, keepdim=True).clamp(min=MIN_WEIGHT)
    descriptors = potentials @ features / weight  # (K, D)
    return descriptors @ features.T / features.shape[1] ** 0.5


def normalised(potentials: Tensor, features: Tensor) -> Tensor:
    """Linear attention: A[i, j] = phi(q_i) . phi(q_j) / sum over j, with phi of `_positive`; rows sum to 1."""
    phi = _positive(features)
    received = (potentials @ phi) @ phi.T
    return received / (phi @ phi.sum(0))


def softmax(potentials: Tensor, features: Tensor, *, max_cells: int = MAX_SOFTMAX_CELLS) -> Tensor:
    """A = softmax over j of q_i . q_j / sqrt(D), exact: the reference, quadratic in time and linear in memory."""
    cells, dim = features.shape
    if cells > max_cells:
        raise InputError(
            f"softmax propagation takes time quadratic in the map, which has {cells} cells; the limit is {max_cells}. "
            "Choose --model.propagation pooled or normalised, use smaller images, or raise the limit explicitly."
        )
    q = features.contiguous()[None, None]
    evidence = []
    for channels in potentials.split(dim):
        # The CPU kernel builds the P x P matrix unless values are as wide as Q and their rows contiguous.
        values = F.pad(channels.T, (0, dim - len(channels))).contiguous()[None, None]
        evidence.append(F.scaled_dot_product_attention(q, q, values)[0, 0].T[: len(channels)])
    return torch.cat(evidence)


class AffinityProducts(NamedTuple):
    """The affinity of cells i and j is scale * (rows[i] . rows[j]), and then what `norm` makes of it over all j."""

    rows: Tensor  # (P, D)
    scale: float
    norm: Literal["none", "sum", "softmax"]  # as it is; divided by the row's sum; softmax over the row


def affinity_products(features: Tensor, form: Propagation) -> AffinityProducts:
    """Which scalar products a form's affinity consists of; of features (P, D).

    `normalised` and `softmax` give the rows of A, which sum to 1. The others give products, scaled as the form scales them
    (`pooled` as if the cell alone were a channel; `none`, which uses no affinity, as `pooled`).
    """
    q = full_precision(features)
    cells, dim = q.shape
    match form:
        case "dot":
            return AffinityProducts(q, 1 / cells, "none")
        case "pooled" | "none":
            return AffinityProducts(q, dim**-0.5, "none")
        case "normalised":
            return AffinityProducts(_positive(q), 1.0, "sum")
        case "softmax":
            return AffinityProducts(q, dim**-0.5, "softmax")
    assert_never(form)


def _positive(features: Tensor) -> Tensor:
    """The feature map of linear attention, elu(q) + 1, kept above 0 so that every row of A has a sum to divide by."""
    return (F.elu(features) + 1).clamp(min=1e-6)
