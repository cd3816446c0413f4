"""Devices and mixed precision: what is refused, what stays float32, and that an overflow under fp16 costs one step."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from unipan.classes import ClassInfo, ClassTable
from unipan.config import DetectorConfig, ModelConfig
from unipan.engine.optimize import scaled_rate
from unipan.engine.runtime import Runtime
from unipan.errors import InputError
from unipan.models.build import build_network
from unipan.models.network import PanopticNetwork
from unipan.types import Admission, Outputs, Target

CLASSES = ClassTable(
    tuple(
        ClassInfo(name=name, is_thing=name.isupper(), dataset_id=number, color=(0, 0, 0), supercategory=name)
        for number, name in enumerate("aBcD", start=1)
    )
)
DETECTOR = DetectorConfig(
    proposals_before_nms=100, proposals=20, rpn_samples=32, roi_samples=16, box_channels=32, mask_channels=16
)
SIZE = (96, 128)
LOGIT_TOLERANCE = 0.2
"""Of panoptic logits, which reach from 0 to 20: bfloat16 has 8 bits, and some 20 layers lie before them."""


def build_small() -> PanopticNetwork:
    torch.manual_seed(0)
    model = ModelConfig(
        backbone="resnet10t", pretrained=False, fpn_channels=32, decoder_channels=(32, 32), affinity_dim=16, detector=DETECTOR
    )
    return build_network(model, CLASSES)


def noise() -> Tensor:
    return torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def truth() -> Target:
    instances = torch.full(SIZE, -1, dtype=torch.int32)
    semantic = torch.zeros(SIZE, dtype=torch.int16)
    instances[10:60, 20:70], semantic[10:60, 20:70] = 0, 1
    boxes = torch.tensor([[20.0, 10.0, 70.0, 60.0]])
    return Target(boxes=boxes, labels=torch.tensor([1]), instances=instances, semantic=semantic)


def answer(network: Callable[..., Outputs]) -> Outputs:
    """With the truth's boxes as detections, so that both precisions have the same channels."""
    torch.manual_seed(0)
    return network(noise(), [SIZE], [truth()], admission=Admission(0.5, 5, from_truth=True))


def test_bf16_stays_near_float32() -> None:
    full = answer(build_small())
    lowered = answer(Runtime(device="cpu", precision="bf16").prepare(build_small()))
    assert full.panoptic[0].shape == lowered.panoptic[0].shape == (3, 24, 32)
    difference = (full.panoptic[0] - lowered.panoptic[0]).abs().max()
    assert 0 < difference < LOGIT_TOLERANCE
    assert full.panoptic[0].max() - full.panoptic[0].min() > 10 * LOGIT_TOLERANCE, "or the tolerance says nothing"


def test_layers_are_lowered_and_what_is_read_off_them_is_float32() -> None:
    """Of the detector too: boxes in pixels and scores don't fit into 8 bits. Masks' last layer is lowered, its result raised."""
    network = build_small()
    lowered, full = dict[str, set[torch.dtype]](), dict[str, set[torch.dtype]]()

    def watch(seen: dict[str, set[torch.dtype]], *names: str) -> None:
        for name in names:
            network.get_submodule(name).register_forward_hook(
                lambda _, __, found, name=name: seen.setdefault(name, set()).update(one.dtype for one in tree_leaves(found))
            )

    heads = "detector.roi_heads."
    watch(lowered, "fpn", "detector.proposals.rpn.head.conv", heads + "box_head", heads + "mask_head", heads + "mask_predictor")
    watch(full, heads + "box_predictor", heads + "box_roi_pool", "potential", "panoptic_head")
    outputs = answer(Runtime(device="cpu", precision="bf16").prepare(network))
    assert set(map(frozenset, lowered.values())) == {frozenset({torch.bfloat16})}
    assert len(lowered) == 5
    assert len(full) == 4
    assert set(map(frozenset, full.values())) == {frozenset({torch.float32})}
    found = outputs.detections[0]
    assert found.mask_logits is not None
    tensors = [
        outputs.semantic[0],
        outputs.affinity[0],
        outputs.panoptic[0],
        outputs.potentials[0],
        found.boxes,
        found.scores,
        found.mask_logits,
    ]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}
    sum(term.mean for term in outputs.detector_losses.values()).backward()  # type: ignore[union-attr]
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients
    assert all(g.dtype == torch.float32 and g.isfinite().all() for g in gradients)


def test_a_released_network_computes_in_float32_again() -> None:
    network, runtime = build_small(), Runtime(device="cpu", precision="bf16")
    runtime.release(runtime.prepare(network))
    assert torch.equal(answer(network).panoptic[0], answer(build_small()).panoptic[0])


def test_each_runtime_has_its_own_precision() -> None:
    assert [Runtime(device="cpu", precision=p).accelerator.mixed_precision for p in ("bf16", "fp32", "bf16")] == [
        "bf16",
        "no",
        "bf16",
    ]


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is a GPU")
def test_fp16_needs_a_gpu() -> None:
    with pytest.raises(
        InputError, match=r"train\.precision fp16 cannot be had on this device \(it is cpu\); choose --train\.precision"
    ):
        Runtime(precision="fp16")


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=rf"the device is to be {device}, but .*choose auto or cpu\."):
        Runtime(device=device)


class Scaled:
    """A runtime with a gradient scaler, which accelerate gives on GPUs alone, and one weight to train."""

    def __init__(self) -> None:
        self.runtime = Runtime(device="cpu")
        self.runtime.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
        self.weight = nn.Parameter(torch.tensor(1.0))
        self.optimizer = torch.optim.SGD([self.weight], lr=0.5)

    def step(self, gradient: float) -> float:
        self.runtime.backward(self.weight * gradient)
        norm = self.runtime.clip(self.optimizer, [self.weight], 1.0)
        self.runtime.step(self.optimizer)
        self.optimizer.zero_grad()
        return float(norm)


def test_scaled_gradients_are_clipped_by_their_true_norm() -> None:
    scaled = Scaled()
    assert scaled.step(0.5) == pytest.approx(0.5)
    assert scaled.weight.item() == pytest.approx(0.75)
    assert scaled.step(4.0) == pytest.approx(4.0)
    assert scaled.weight.item() == pytest.approx(0.25, abs=1e-5)


def test_an_overflow_costs_one_step_and_half_the_scale() -> None:
    scaled = Scaled()
    assert scaled.step(float("inf")) == float("inf")
    assert scaled.weight.item() == 1.0
    assert scaled.runtime.scaler_state["scale"] == 512.0


def test_the_scaler_goes_on_where_it_stopped() -> None:
    whole, rest = Scaled(), Scaled()
    for gradient in (0.1, float("inf"), 0.1, 0.1):
        whole.step(gradient)
    rest.runtime.restore_scaler(whole.runtime.scaler_state)
    for scaled in (whole, rest):
        scaled.step(0.1)  # the third good step after the overflow: the scale doubles
        assert scaled.runtime.scaler_state["scale"] == 1024.0
    fresh = Scaled()
    fresh.step(0.1)
    assert fresh.runtime.scaler_state["_growth_tracker"] != whole.runtime.scaler_state["_growth_tracker"]


@pytest.mark.parametrize("state", [{}, {"scale": torch.tensor(2.0)}, {"scale": torch.ones(2), "_growth_tracker": torch.ones(())}])
def test_a_checkpoint_without_the_scalers_state_is_refused(state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(InputError, match=r"does not say .*(scale|growth_tracker) of fp16's loss scaling"):
        Scaled().runtime.restore_scaler(state)


def test_without_fp16_there_is_no_scaler_state() -> None:
    runtime = Runtime(device="cpu", precision="bf16")
    assert runtime.scaler_state == {}
    runtime.restore_scaler({})


@pytest.mark.parametrize(("batch", "reference", "rate"), [(32, 32, 0.01), (8, 32, 0.0025), (64, 32, 0.02), (8, 0, 0.01)])
def test_the_rate_follows_the_batch_in_proportion(batch: int, reference: int, rate: float) -> None:
    assert scaled_rate(0.01, batch_size=batch, reference_batch_size=reference) == pytest.approx(rate)
