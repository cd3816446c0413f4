"""What a GPU must confirm: that the network computes there what it computes on the CPU. Each check returns what differed most."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import torch
from peers.scene import Scene, class_table
from torch import Tensor

from unipan.choices import PanopticHead
from unipan.losses.build import criterion_of
from unipan.models.build import build_network
from unipan.models.cuda_graphs import cuda_graphs
from unipan.models.network import PanopticNetwork
from unipan.ops.convex_argmax import convex_argmax
from unipan.ops.deform import deform_conv, project_then_gather, sample_then_project
from unipan.ops.upsample import convex_upsample
from unipan.predictor import Predictor
from unipan.presets import cityscapes_r50
from unipan.types import Admission

CONFIG = replace(cityscapes_r50(), model=replace(cityscapes_r50().model, pretrained=False))
ADMISSION = Admission(0.0, 20)
HEADS: tuple[PanopticHead, ...] = ("unified", "upsnet", "heuristic")
CPU = torch.device("cpu")


def deformable_forms(device: torch.device) -> dict[str, float]:
    """Values and gradients of each form on the device, against the CPU's in float64: the largest difference over the largest."""
    torch.manual_seed(0)
    x, offsets, weight = torch.randn(2, 32, 20, 30), 3 * torch.randn(2, 18, 20, 30), torch.randn(16, 32, 3, 3)
    want = _with_gradients(project_then_gather, [t.double() for t in (x, offsets, weight)])
    found: dict[str, float] = {}
    for form in (deform_conv, sample_then_project, project_then_gather):
        got = _with_gradients(form, [t.to(device) for t in (x, offsets, weight)])
        found[form.__name__] = max(_relative(a, b) for a, b in zip(got, want, strict=True))
    return found


def convex_forms(device: torch.device) -> dict[str, float]:
    """Learnt upsampling on the device against the CPU's in float64, as for the deformable forms; and its arg max's pixels."""
    torch.manual_seed(0)
    logits, shares = torch.randn(12, 40, 60), torch.randn(9, 16, 40, 60).softmax(0)
    want = _with_gradients(convex_upsample, [logits.double(), shares.double()])
    got = _with_gradients(convex_upsample, [logits.to(device), shares.to(device)])
    best = convex_argmax(logits.to(device), shares.to(device), (160, 240)).cpu()
    return {
        "convex_upsample": max(_relative(a, b) for a, b in zip(got, want, strict=True)),
        "convex_argmax, pixels": float((best != want[0].argmax(0)).float().mean()),
    }


def losses_and_gradients(scene: Scene, device: torch.device, dtype: torch.dtype | None = None) -> dict[str, float]:
    """A pass on the device against the CPU's: losses and gradient norm, relative. dtype: of autocast on the device.

    One pass sees the truth's boxes as detections, so that no rounding decides what enters the potential.
    """
    want, got = _pass(scene, CPU, None), _pass(scene, device, dtype)
    return {name: abs(got[name] - value) / max(abs(value), 1e-12) for name, value in want.items()}


def graphed_losses_and_gradients(scene: Scene, device: torch.device) -> dict[str, float]:
    """A step with CUDA graphs against one without, both on the device: the last of three on other images by other weights.

    Deformable weights and offsets are drawn large, or the losses would hardly see them.
    """
    first, found = scene.to(device), list[dict[str, float]]()
    scenes = [replace(first, image=image) for image in (first.image, first.image.flip(0), 1 - first.image)]
    for graphs in (False, True):
        network = _network().to(device).train()
        torch.manual_seed(1)
        with torch.no_grad():
            for name, weight in network.named_parameters():
                if "decoder.blocks" in name and weight.ndim == 4:
                    weight.normal_(std=2 / weight[0].numel() ** 0.5)
        with cuda_graphs(network) if graphs else nullcontext():
            for one in scenes[:-1]:
                _values(network, one)
                torch.optim.SGD(network.parameters(), lr=1e-3).step()
            found.append(_values(network, scenes[-1]))
    return {name: abs(found[1][name] - value) / max(abs(value), 1e-12) for name, value in found[0].items()}


def answers(scene: Scene, device: torch.device) -> dict[str, float]:
    """Share of the pixels on which each head's ids differ between the device and the CPU."""
    network, classes = _network(), class_table()
    config = replace(CONFIG, inference=replace(CONFIG.inference, score_threshold=0.0, max_admitted=20))
    pixels = (scene.image * 255).to(torch.uint8)
    ids: dict[torch.device, list[Tensor]] = {}
    for where in (CPU, device):
        predictor = Predictor(network.to(where), classes, config)
        inference = predictor.infer(pixels)
        ids[where] = [predictor.answer(inference, head=head).ids for head in HEADS]
    return {head: float((one != other).float().mean()) for head, one, other in zip(HEADS, ids[CPU], ids[device], strict=True)}


def compiled_backbone(scene: Scene, device: torch.device) -> float:
    """The largest relative difference of the backbone's features, compiled against not."""
    backbone = _network().backbone.to(device).eval()
    images = scene.image[None].to(device)
    with torch.no_grad():
        want, got = backbone(images), torch.compile(backbone)(images)
    return max(_relative(a, b) for a, b in zip(got, want, strict=True))


def _pass(scene: Scene, device: torch.device, dtype: torch.dtype | None) -> dict[str, float]:
    with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
        return _values(_network().to(device).train(), scene.to(device))


def _values(network: PanopticNetwork, scene: Scene) -> dict[str, float]:
    """Losses and gradient norm of a pass."""
    criterion = criterion_of(CONFIG, class_table())
    admission = ADMISSION._replace(from_truth=True, every_mask=False)
    network.zero_grad()
    outputs = network(scene.image[None], [scene.size], [scene.target], admission=admission)
    losses = criterion(outputs, [scene.target])
    with torch.autocast(scene.image.device.type, enabled=False):
        losses.total.backward()
    gradients = [p.grad.double().cpu().norm() for p in network.parameters() if p.grad is not None]
    values = {name: float(value.detach()) for name, value in losses}
    return {**values, "gradient_norm": float(torch.stack(gradients).norm())}


def _network() -> PanopticNetwork:
    torch.manual_seed(0)
    return build_network(CONFIG.model, class_table())


def _with_gradients(form: Callable[..., Tensor], tensors: list[Tensor]) -> list[Tensor]:
    """The value, and the gradients of a sum with unequal weights."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    value = form(*leaves)
    weights = torch.linspace(-1, 1, value.numel(), dtype=torch.float64).view(value.shape).to(value)
    (value * weights).sum().backward()
    return [value.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


def _relative(got: Tensor, want: Tensor) -> float:
    return float((got.double().cpu() - want.double().cpu()).abs().max() / want.double().abs().max().cpu())
