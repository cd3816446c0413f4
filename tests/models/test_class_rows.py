"""What a detector says of its layers with rows for classes is what its layers have."""

from itertools import product

import pytest
import torch

from unipan.classes import ClassTable
from unipan.config import DetectorConfig, ModelConfig
from unipan.models.build import build_network
from unipan.models.class_rows import mixed_rows
from unipan.models.network import PanopticNetwork


def network(things: int, **detector: object) -> PanopticNetwork:
    classes = [{"id": n + 1, "name": f"class {n}", "isthing": int(n > 0)} for n in range(things + 1)]
    model = ModelConfig(
        backbone="tf_efficientnet_lite0",
        pretrained=False,
        fpn_channels=32,
        decoder_channels=(8,),
        affinity_dim=8,
        detector=DetectorConfig(**detector),  # type: ignore[arg-type]
    )
    return build_network(model, ClassTable.from_categories(classes))


@pytest.mark.parametrize(("kind", "agnostic"), [*product(["two_stage", "one_stage"], [False, True])])
def test_every_layer_that_grows_with_the_classes_is_named(kind: str, agnostic: bool) -> None:
    small, large = (network(things, kind=kind, class_agnostic=agnostic).detector for things in (3, 5))
    rows, sizes = large.class_rows(), [dict(one.named_parameters()) for one in (small, large)]  # type: ignore[attr-defined]
    growing = {name.rpartition(".")[0] for name in sizes[0] if sizes[0][name].shape != sizes[1][name].shape}
    assert growing <= rows.keys()
    assert growing == rows.keys() or agnostic
    for layer in growing:
        assert len(sizes[1][f"{layer}.bias"]) == rows[layer].each * (5 + rows[layer].background)


def test_rows_go_where_both_know_the_class() -> None:
    own, given = torch.zeros(6, 2), torch.arange(16.0).view(8, 2)
    mixed = mixed_rows(own, given, 2, {0: 0, 2: 3})
    assert torch.equal(mixed, torch.cat([given[:2], own[2:4], given[6:]]))
    for whole in (torch.ones(6, 3), torch.ones(2, 2)):
        assert mixed_rows(own, whole, 2, {0: 0}) is whole, "of another shape, or of no class"
