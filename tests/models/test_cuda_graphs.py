"""The maps from CUDA graphs. A recorder on the CPU stands in for CUDA's; `benchmarks/gpu.py` holds the real one against none."""

import copy
import logging
import pickle
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from unipan.config import Config, ModelConfig, TrainConfig
from unipan.errors import InputError
from unipan.models.cuda_graphs import MOST, GraphedMaps, cuda_graphs
from unipan.models.network import Maps, PanopticNetwork
from unipan.recipes.train import train
from unipan.types import Admission, Target

ADMISSION = Admission(0.0, 5, every_mask=False)
SIZES = [(61, 75), (64, 96), (61, 75), (33, 34)]

Networks = Callable[..., PanopticNetwork]
Images = Callable[..., Tensor]
Scenes = Callable[..., Target]


class Buffered:
    """A module computed into buffers that every call overwrites, as a CUDA graph has them: of results and of gradients."""

    def __init__(self, module: nn.Module, images: Tensor) -> None:
        self.module, self.given = module, images.clone()
        self.weights = [weight for weight in module.parameters() if weight.requires_grad]
        results, self.structure = tree_flatten(module(images))
        self.results = [result.detach().clone() for result in results]
        self.gradients = [torch.zeros_like(weight) for weight in self.weights]
        self.last: list[Tensor] = []
        self.calls = 0

    def __call__(self, images: Tensor) -> Maps:
        graph = self

        class Replay(torch.autograd.Function):
            @staticmethod
            def forward(ctx, *weights: Tensor) -> tuple[Tensor, ...]:
                graph.given.copy_(images)
                with torch.enable_grad():
                    graph.last, _ = tree_flatten(graph.module(graph.given))
                for buffer, result in zip(graph.results, graph.last, strict=True):
                    buffer.copy_(result.detach())
                return tuple(buffer.detach() for buffer in graph.results)

            @staticmethod
            def backward(ctx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
                taught = [(r, g) for r, g in zip(graph.last, gradients, strict=True) if r.requires_grad]
                results, inner = zip(*taught, strict=True)
                found = torch.autograd.grad(results, graph.weights, inner, allow_unused=True)
                for buffer, gradient in zip(graph.gradients, found, strict=True):
                    buffer.copy_(torch.zeros_like(buffer) if gradient is None else gradient)
                return tuple(
                    None if gradient is None else buffer.detach() for buffer, gradient in zip(graph.gradients, found, strict=True)
                )

        self.calls += 1
        return tree_unflatten(Replay.apply(*self.weights), self.structure)


class Recorder:
    def __init__(self) -> None:
        self.graphs: dict[tuple[int, ...], Buffered] = {}

    def __call__(self, module: nn.Module, images: Tensor) -> Buffered:
        assert tuple(images.shape) not in self.graphs
        return self.graphs.setdefault(tuple(images.shape), Buffered(module, images))


def images_of(noise: Images, seed: int) -> Tensor:
    return torch.stack([noise(64, 96, seed=seed + number) for number in range(len(SIZES))]).double()


def truths(scene: Scenes) -> list[Target]:
    """Two things, one, none, and one of another class; each image draws its own samples."""
    things = [[(1, (5, 5, 30, 25)), (3, (20, 10, 50, 60))], [(3, (40, 10, 90, 40))], [], [(1, (7, 9, 28, 30))]]
    made = [scene(size, 2, own) for size, own in zip(SIZES, things, strict=True)]
    return [replace(target, boxes=target.boxes.double(), seed=seed) for seed, target in enumerate(made)]


def trained(network: PanopticNetwork, batches: Sequence[Tensor], targets: Sequence[Target]) -> list[Tensor]:
    """What every step says, what every weight learns of it, and what comes of the weights, by gradient descent.

    A weight that no loss reaches learns 0 from a graph, and nothing without.
    """
    found: list[Tensor] = []
    for images in batches:
        network.zero_grad(set_to_none=True)
        outputs = network(images, SIZES, targets, admission=ADMISSION)
        said = [*outputs.semantic, *outputs.panoptic, *outputs.affinity, *(one.boxes for one in outputs.detections)]
        weighed = [(one * torch.linspace(-1, 1, one.numel()).view_as(one)).sum() for one in said]
        torch.stack([*weighed, *(term.sum for term in outputs.detector_losses.values())]).sum().backward()
        with torch.no_grad():
            learnt = [torch.zeros_like(w) if w.grad is None else w.grad for w in network.parameters()]
            found += [one.detach().clone() for one in (*said, *learnt)]
            for weight, gradient in zip(network.parameters(), learnt, strict=True):
                weight -= 1e-3 * gradient / gradient.norm().clamp(min=1)
    return found + [weight.detach().clone() for weight in network.parameters()]


@pytest.mark.parametrize(
    "settings",
    [{"upsampling": "convex", "masks": True, "variant": "B"}, {"panoptic": "upsnet", "void_channel": True}, {"one_stage": True}],
    ids=str,
)
def test_step_after_step_is_as_without_graphs(
    small_network: Networks, small_config: Callable[..., ModelConfig], noise: Images, scene: Scenes, settings: dict
) -> None:
    if "one_stage" in settings:
        settings = {"detector": replace(small_config().detector, kind="one_stage")}
    recorder, batches = Recorder(), [images_of(noise, seed) for seed in (0, 10)]
    want = trained(small_network(**settings).double().train(), batches, truths(scene))
    network = small_network(**settings).double().train()
    with cuda_graphs(network, recorder):
        got = trained(network, batches, truths(scene))
    assert [graph.calls for graph in recorder.graphs.values()] == [2, 2, 2]  # three sizes, of which one is two images'
    for expected, found in zip(want, got, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


def test_a_copy_has_its_own_weights_and_no_graph(small_network: Networks, noise: Images) -> None:
    network, recorder, images = small_network(), Recorder(), noise(64, 96)[None]
    with cuda_graphs(network, recorder):
        network.maps(images)
        copies = [copy.deepcopy(network), pickle.loads(pickle.dumps(network))]
    for one in copies:
        with torch.no_grad():
            for weight in one.parameters():
                weight.zero_()
        assert one.maps(images).semantic.abs().max() == 0
        assert network.maps(images).semantic.abs().max() > 0
    assert [graph.calls for graph in recorder.graphs.values()] == [1]


def test_after_it_nothing_holds_the_graphs(small_network: Networks, noise: Images) -> None:
    network = small_network()

    def record(module: nn.Module, images: Tensor) -> Callable[[Tensor], Maps]:
        plain = module.forward
        module.forward = lambda given: (module, plain(given))[1]  # as torch's own recorder: the module holds itself
        held.append(weakref.ref(module))
        return module

    held: list[weakref.ref] = []
    with cuda_graphs(network, record):
        network.maps(noise(64, 64)[None])
        assert held[0]() is not None
    assert held[0]() is None


def test_only_passes_with_gradients_have_graphs_and_only_within(small_network: Networks, noise: Images) -> None:
    network, recorder = small_network(), Recorder()
    names = list(network.state_dict())
    with cuda_graphs(network, recorder):
        with torch.no_grad():
            network(images_of(noise, 0).float(), SIZES, admission=ADMISSION)
        assert not recorder.graphs
        assert list(network.state_dict()) == names
        network(images_of(noise, 0).float(), SIZES, admission=ADMISSION)
        assert len(recorder.graphs) == 3
    network(images_of(noise, 0).float(), SIZES, admission=ADMISSION)
    assert {graph.calls for graph in recorder.graphs.values()} == {1}


def test_further_shapes_are_computed_without_and_that_is_said_once(
    small_network: Networks, noise: Images, caplog: pytest.LogCaptureFixture
) -> None:
    network, recorder = small_network(), Recorder()
    maps = GraphedMaps(network, recorder)
    for side in range(32, 32 * (MOST + 3), 32):
        with caplog.at_level(logging.INFO):
            maps(noise(32, side)[None])
    assert list(recorder.graphs) == [(1, 3, 32, side) for side in range(32, 32 * (MOST + 1), 32)]
    (said,) = (record.getMessage() for record in caplog.records)
    assert f"4 shapes of batches have graphs; further ones, such as (1, 3, 32, {32 * (MOST + 1)})" in said


@pytest.mark.parametrize("settings", [{"accumulate": 2}, {"checkpointing": True}, {"freeze_batchnorm": False}], ids=str)
def test_what_cannot_be_recorded_is_refused(settings: dict) -> None:
    model = {name: value for name, value in settings.items() if name != "accumulate"}
    schedule = {name: value for name, value in settings.items() if name == "accumulate"}
    with pytest.raises(InputError, match=r"accumulate 1, --model\.no-checkpointing and --model\.freeze-batchnorm"):
        Config(model=ModelConfig(**model), train=TrainConfig(cuda_graphs=True, **schedule))


def test_what_cuda_cannot_record_is_said(small_network: Networks, noise: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        try:
            raise RuntimeError("operation not permitted when stream is capturing\nCUDA kernel errors might be ...")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")  # as CUDA ends a recording that failed

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", fail)
    network = small_network()
    with cuda_graphs(network), pytest.raises(InputError, match=r"not permitted when stream is capturing\. Leave --train\.cuda"):
        network(noise(64, 64)[None], [(64, 64)], admission=ADMISSION)
    assert network.maps(noise(64, 64)[None]).semantic.shape == (1, 5, 16, 16)


def test_other_faults_while_recording_stay_what_they_are(
    small_network: Networks, noise: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", fail)
    network = small_network()
    with cuda_graphs(network), pytest.raises(RuntimeError, match="DataLoader worker"):
        network(noise(64, 64)[None], [(64, 64)], admission=ADMISSION)


def test_the_maps_are_computed_in_the_autocast_of_the_recording_and_their_gradients_in_none(
    small_network: Networks, noise: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-precision product's gradient within autocast would be half-precision wherever a float32 product's is, too."""
    seen: list[tuple[bool, torch.dtype]] = []

    def record(module: nn.Module, given: tuple[Tensor], **_: object) -> nn.Module:
        seen.append((torch.is_autocast_enabled("cpu"), module(*given).pyramid[0].dtype))
        return module

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    network, images, inside = small_network(), noise(64, 64)[None], []
    network.fpn.register_forward_hook(lambda _module, _given, found: inside.append(found["0"].dtype))
    with cuda_graphs(network), torch.autocast("cpu", dtype=torch.bfloat16):
        network.maps(images)
    assert seen == [(False, torch.float32)]
    assert inside[0] == torch.bfloat16


def test_without_a_gpu_they_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.cuda_graphs needs a CUDA GPU, but the device is cpu"):
        train(Config(train=TrainConfig(cuda_graphs=True, device="cpu")), tmp_path / "run")
    assert not (tmp_path / "run").exists()
