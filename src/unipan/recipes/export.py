"""`unipan export`: a run as an ONNX file, which is then held against the run itself."""

from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unipan.checkpoint import open_run
from unipan.console import counted, logger
from unipan.data.build import training_dataset, validation_dataset
from unipan.data.dataset import PanopticDataset
from unipan.data.scenes.dataset import SceneDataset
from unipan.data.transforms import resized
from unipan.errors import InputError, path_of
from unipan.files import check_writable, make_folder
from unipan.metrics.pq import PQCounts, quality
from unipan.metrics.segment_matching import match_maps
from unipan.overrides import NO_OVERRIDES, Overrides, checked
from unipan.predictor import Predictor, load
from unipan.recipes.exported import Cost, Export, SizeCheck
from unipan.tools.onnx.quantise import quantise
from unipan.tools.onnx.run import OnnxGraph
from unipan.tools.onnx.write import write_onnx
from unipan.types import Size

FACTORS = ((1.0, 1.0), (0.5, 0.75), (1.3, 0.9), (0.77, 1.21), (1.0, 0.4))
"""Of the network's size, height and width: the sizes of a verification."""
CALIBRATION_IMAGES = 32
JUDGED_IMAGES = 200


def export(run: str | Path, onnx: str | Path, *, overrides: Overrides = NO_OVERRIDES, int8: bool = False) -> Export:
    """Write a run as an ONNX file, and hold its answers against the run's on images of several sizes.

    overrides: limits and sizes that the graph is to have otherwise than the run. int8: beside it, one with 8-bit layers, ranges
    from images of the training, and what that costs in PQ on held-out ones. Whether they agree, `Export.check_agreement` tells.
    """
    onnx = path_of("onnx", onnx)
    check_writable(onnx, new_folders=True)
    if onnx.suffix != ".onnx":
        raise InputError(f"the file to write is {onnx}; give it a name that ends in .onnx.")
    if checked(overrides).precision == "bf16":
        raise InputError("the precision bf16 came, but the graph is of float32; leave it out: bf16 is for the run's own answers.")
    _, config, _ = open_run(run)
    predictor = load(run, device="cpu", overrides=overrides)
    training = training_dataset(config.data, config.train.seed) if int8 else None
    try:
        held_out = validation_dataset(config.data)
    except InputError:
        if int8:  # which is measured on them
            raise
        held_out = None
    make_folder(onnx.absolute().parent)
    logger.info("writing %s: minutes, as every operator is traced", onnx)
    write_onnx(predictor, onnx)
    graph = OnnxGraph(onnx)
    images, named = verification_images(held_out)
    checks = tuple(verified(predictor, graph, images))
    cost = None
    if training is not None and held_out is not None:
        reduced = onnx.with_stem(f"{onnx.stem}_int8")
        shown = (as_shown(predictor, training[i].image).numpy() for i in range(min(CALIBRATION_IMAGES, len(training))))
        quantise(onnx, reduced, shown)
        cost = cost_of(predictor, reduced, graph, held_out)
    return Export(onnx, checks, named, cost)


def verification_images(held_out: PanopticDataset | None) -> tuple[list[Tensor], str]:
    """One image for each of FACTORS and what they are: the run's held-out ones where they are there, else procedural scenes."""
    if held_out is None:
        scenes = SceneDataset(difficulty="standard", size=(192, 256), seed=0, length=len(FACTORS))
        return [scenes[index].image for index in range(len(FACTORS))], "procedural scenes, as the held-out images are not there"
    return [held_out[index % len(held_out)].image for index in range(len(FACTORS))], "held-out images"


def as_shown(predictor: Predictor, image: Tensor, factors: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """An image (3, H, W) uint8 at the size at which the network sees it, times factors of height and width."""
    size = predictor.network_size((image.shape[1], image.shape[2]))
    return resized(image, (max(1, round(size[0] * factors[0])), max(1, round(size[1] * factors[1]))))


def verified(predictor: Predictor, graph: OnnxGraph, images: Sequence[Tensor]) -> Iterator[SizeCheck]:
    """Each image at one of FACTORS, and the first again inside a larger one."""
    as_it_is = copy(predictor)
    as_it_is.scale = 1.0  # they have the network's size already
    shown = [as_shown(predictor, image, factors) for image, factors in zip(images, FACTORS, strict=True)]
    yield from (check(as_it_is, graph, image, image.numpy(), None) for image in shown)
    first = shown[0]
    height, width = (-(-side // 32) * 32 + 32 for side in first.shape[1:])
    padded = np.zeros((3, height, width), dtype=np.uint8)
    padded[:, : first.shape[1], : first.shape[2]] = first.numpy()
    yield check(as_it_is, graph, first, padded, (first.shape[1], first.shape[2]))


def check(predictor: Predictor, graph: OnnxGraph, image: Tensor, given: NDArray[np.uint8], true_size: Size | None) -> SizeCheck:
    """Compare the run's answer for an image with the graph's for what it is given."""
    start = perf_counter()
    expected = predictor(image).ids.numpy()
    middle = perf_counter()
    answer = graph(given, true_size)
    end = perf_counter()
    height, width = image.shape[1:]
    same = int((answer.ids == expected).sum()) if answer.ids.shape == expected.shape else 0
    return SizeCheck(height, width, true_size is not None, len(answer.scores), same, middle - start, end - middle)


def cost_of(predictor: Predictor, reduced: Path, graph: OnnxGraph, held_out: PanopticDataset) -> Cost:
    """PQ of a file and of the one with 8-bit layers, on the first of the held-out images."""
    graphs, number = (graph, OnnxGraph(reduced)), min(JUDGED_IMAGES, len(held_out))
    totals = [PQCounts.zero(len(graph.classes)) for _ in graphs]
    for index in counted(range(number), "scoring", number):
        sample = held_out[index]
        image, size = as_shown(predictor, sample.image).numpy(), (sample.image.shape[1], sample.image.shape[2])
        for position, one in enumerate(graphs):
            answer = one.panoptic(one(image), size)
            totals[position] += PQCounts.of(match_maps(answer, sample.truth), len(graph.classes))
    pq, pq_int8 = (quality(total, graph.classes).all.pq for total in totals)
    return Cost(reduced, number, pq, pq_int8)
