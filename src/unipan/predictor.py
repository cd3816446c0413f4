"""The one way from an image to an answer: prediction, evaluation, the report and the explorer all go through it."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from unipan.checkpoint import load_model, open_run
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.data.transforms import resized_size
from unipan.errors import InputError
from unipan.models.build import build_network
from unipan.models.decode import decode
from unipan.models.network import PanopticNetwork
from unipan.ops.images import read_image
from unipan.ops.segments import drop_small_stuff
from unipan.types import Admission, Detections, Outputs, PanopticMap, Size


class Predictor:
    """Call it with an image, get a `PanopticMap` of the image's own size."""

    def __init__(
        self,
        network: PanopticNetwork,
        classes: ClassTable,
        *,
        short_side: int,
        long_side: int,
        admission: Admission,
        min_stuff_area_px: int,
    ) -> None:
        """short_side, long_side: how images are resized for the network, in pixels, 0 for not at all.

        min_stuff_area_px: stuff segments with fewer pixels of the original image become void; 0 trims nothing.
        """
        self.network = network.eval()
        self.classes = classes
        self.short_side = short_side
        self.long_side = long_side
        self.admission = admission
        self.min_stuff_area_px = min_stuff_area_px

    def __call__(self, image: str | Path | Image.Image | Tensor) -> PanopticMap:
        """image: a file, a PIL image, or a (3, H, W) uint8 RGB tensor."""
        pixels = as_pixels(image)
        return self.answer(self.outputs(pixels), original_size(pixels))

    @torch.no_grad()
    def outputs(self, pixels: Tensor) -> Outputs:
        """Everything that the network predicts for one image, (3, H, W) uint8; lists of one entry, boxes in network pixels."""
        size = self.network_size(original_size(pixels))
        resized = transforms.resize(pixels, list(size), antialias=True).float().div(255)  # as the training's images are
        device = self.network.stuff.device
        return self.network(resized[None].to(device), [size], admission=self.admission)

    def answer(self, outputs: Outputs, size: Size, *, logits: Tensor | None = None) -> PanopticMap:
        """Read the answer of the outputs of one image off its panoptic logits, at its original `size`.

        logits: others in place of the panoptic ones, with the same channels; the potential itself shows propagation's part.
        """
        panoptic = drop_small_stuff(
            decode(
                outputs.panoptic[0] if logits is None else logits,
                self.admitted(outputs),
                network_size=self.network_size(size),
                size=size,
                classes=self.classes,
            ),
            min_area_px=self.min_stuff_area_px,
        )
        return panoptic

    def admitted(self, outputs: Outputs) -> Detections:
        """The detections of the thing channels, in their order."""
        return outputs.detections[0].take(outputs.admitted[0])

    def network_size(self, size: Size) -> Size:
        """The size at which the network sees an image of `size`."""
        return resized_size(size, short_side=self.short_side, long_side=self.long_side)


def load(run: str | Path) -> Predictor:
    """Load a run's predictor: `run` is a folder, or `hf:OWNER/NAME` on the Hugging Face Hub. On a GPU where there is one."""
    folder, config, classes = open_run(run)
    network = untrained_network(config, classes)
    load_model(folder.model, network)
    return build_predictor(network.to("cuda" if torch.cuda.is_available() else "cpu"), classes, config)


def untrained_network(config: Config, classes: ClassTable) -> PanopticNetwork:
    """A run's network before its weights are filled in: no ImageNet weights are looked for."""
    from dataclasses import replace

    return build_network(replace(config.model, pretrained=False), classes)


def build_predictor(network: PanopticNetwork, classes: ClassTable, config: Config) -> Predictor:
    """A predictor with a run's settings."""
    return Predictor(
        network,
        classes,
        short_side=config.data.short_side,
        long_side=config.data.long_side,
        admission=Admission(config.inference.score_threshold, config.inference.max_admitted),
        min_stuff_area_px=config.inference.min_stuff_area_px,
    )


def as_pixels(image: str | Path | Image.Image | Tensor) -> Tensor:
    """(3, H, W) uint8 RGB of a file, a PIL image or such a tensor."""
    if isinstance(image, (str, Path)):
        return read_image(Path(image))
    if isinstance(image, Image.Image):
        return transforms.pil_to_tensor(image.convert("RGB"))
    if image.ndim != 3 or image.shape[0] != 3 or image.dtype != torch.uint8:
        raise InputError(
            f"an image must be a (3, H, W) uint8 RGB tensor, but {tuple(image.shape)} {image.dtype} came; "
            "give such a tensor, a PIL image or a file."
        )
    return image


def original_size(pixels: Tensor) -> Size:
    return pixels.shape[-2], pixels.shape[-1]
