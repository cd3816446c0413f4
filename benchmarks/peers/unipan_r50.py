"""`cityscapes_r50`: masks, variant B; all that the detector keeps enters the answer."""

from collections.abc import Callable
from dataclasses import replace

import torch

from peers.scene import Scene, class_table, descending
from unipan.config import Config
from unipan.losses.build import criterion_of
from unipan.models.build import build_network
from unipan.models.cuda_graphs import GraphedMaps, recorded
from unipan.predictor import Predictor
from unipan.presets import cityscapes_r50
from unipan.types import Admission, Outputs

CONFIG = cityscapes_r50()
DETECTIONS = 100


def training_step(scene: Scene, config: Config = CONFIG, *, graphs: bool = False) -> Callable[[], object]:
    """A step of stochastic gradient descent on the scene. graphs: with `train.cuda_graphs`, in one precision."""
    classes = class_table()
    network = build_network(replace(config.model, pretrained=False), classes).to(scene.image.device).train()
    if graphs:
        network.maps = GraphedMaps(network, recorded)
    criterion = criterion_of(config, classes)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)
    admission = Admission(0.0, config.train.max_admitted, every_mask=False)  # random weights reach no other threshold

    def loss() -> torch.Tensor:
        outputs = network(scene.image[None], [scene.size], [scene.target], admission=admission)
        return criterion(outputs, [scene.target]).total

    return descending(optimizer, loss)


def graphed_step(scene: Scene, config: Config = CONFIG) -> Callable[[], object]:
    """The same with CUDA graphs; begun anew whenever the precision is another than at the last call."""
    steps: dict[bool, Callable[[], object]] = {}

    def step() -> object:
        half = torch.is_autocast_enabled(scene.image.device.type)
        if half not in steps:
            steps.clear()
            steps[half] = training_step(scene, config, graphs=True)
        return steps[half]()

    return step


def prediction(scene: Scene, config: Config = CONFIG) -> Callable[[], object]:
    """From pixels to the panoptic map, with as many detections as may be kept; under autocast in bf16."""
    detector = replace(config.model.detector, score_threshold=0.0, max_detections=DETECTIONS)
    inference = replace(config.inference, score_threshold=0.0, max_admitted=DETECTIONS)
    config = replace(config, model=replace(config.model, pretrained=False, detector=detector), inference=inference)
    classes = class_table()
    network, pixels = build_network(config.model, classes).to(scene.image.device), (scene.image * 255).to(torch.uint8)
    network.register_forward_hook(_check_detections)
    full = Predictor(network, classes, config)
    half = Predictor(network, classes, config, precision="bf16")  # a predictor leaves autocast, in which the peers take bf16
    return lambda: (half if torch.is_autocast_enabled(scene.image.device.type) else full)(pixels)


def _check_detections(_network: torch.nn.Module, _given: object, outputs: Outputs) -> None:
    found = len(outputs.detections[0].boxes)
    assert found == DETECTIONS, f"{found} detections, the others keep {DETECTIONS}"
