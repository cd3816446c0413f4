"""The affinity of some cells to all, spelt out from what `affinity_products` says."""

from typing import assert_never

import torch.nn.functional as F
from torch import Tensor

from unipan.choices import Propagation
from unipan.ops.propagation import affinity_products


def affinity_rows(features: Tensor, cells: Tensor, form: Propagation) -> Tensor:
    """How strongly each of some cells is tied to all cells: (M, P) from features (P, D) and cells (M,) int64."""
    rows, scale, norm = affinity_products(features, form)
    products = rows[cells] @ rows.T * scale
    match norm:
        case "none":
            return products
        case "sum":
            return F.normalize(products, p=1, dim=1)
        case "softmax":
            return products.softmax(1)
    assert_never(norm)
