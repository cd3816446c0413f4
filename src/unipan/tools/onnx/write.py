"""From a predictor to an ONNX file: one graph for images of any size, with any number of detections, none included."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from unipan.errors import InputError
from unipan.files import replace_atomically
from unipan.models.answer_graph import AnswerGraph
from unipan.models.panoptic_head import UnifiedHead
from unipan.predictor import Predictor

OPSET = 20
"""The first with all that the graph needs; runtimes of 2024 and later have it."""
FACTS = "unipan"
"""The key of the model's metadata under which `facts_of` stands, as JSON."""
OUTPUTS = ("ids", "scores", "labels", "boxes")
TRACED_SIZE = (192, 224)
"""Of the image that the graph is traced with: no side, nor any level's, is 1, which would be taken for granted."""


def needs(package: str) -> Any:
    """Import a package of the extra `export`.

    Raises: InputError where it is not there.
    """
    from importlib import import_module

    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise InputError(f"export needs the package {error.name}: pip install 'unipan[export]'.") from error


def write_onnx(predictor: Predictor, path: Path) -> None:
    """Write a predictor's network and its way to the unified answer.

    Inputs: `image`, (3, H, W) uint8 RGB as the network sees it; and `size`, (2,) int64, its true height and width where the rest
    is padding, which may be left out. Outputs: as `AnswerGraph.forward`. Raises: InputError for another head.
    """
    needs("onnxscript")
    onnx = needs("onnx")
    network = predictor.network
    if predictor.head != "unified" or not isinstance(network.panoptic_head, UnifiedHead):
        raise InputError(
            f"only the unified head's answer can be exported, and this network was trained with the head {predictor.head}, which "
            "takes one instance after another; a graph has no such loop. Train with --model.panoptic unified."
        )
    if network.panoptic_head.form == "softmax":
        raise InputError("softmax propagation has no graph for any size; train with --model.propagation pooled or normalised.")
    graph = AnswerGraph(
        network,
        admission=predictor.admission._replace(every_mask=False),
        num_stuff=len(predictor.classes.stuff),
        min_stuff_area_px=predictor.min_stuff_area_px,
    )
    model = traced(graph)
    cut_to_true_size(model)
    onnx.helper.set_model_props(model, {FACTS: json.dumps(facts_of(predictor))})
    replace_atomically(path, lambda partial: onnx.save(model, partial))
    onnx.checker.check_model(str(path), full_check=True)


def facts_of(predictor: Predictor) -> dict[str, Any]:
    """What a reader of the outputs must know: the classes, which of them the first ids are, and how an image is resized."""
    return {
        "categories": predictor.classes.to_categories(),
        "stuff": list(predictor.classes.stuff),
        "short_side": predictor.config.data.short_side,
        "long_side": predictor.config.data.long_side,
        "scale": predictor.scale,
    }


@torch.no_grad()
def traced(graph: AnswerGraph) -> Any:
    """The ONNX model of a graph, whose image may have any size."""
    image = torch.randint(0, 256, (3, *TRACED_SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    any_size = {1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    with quiet():
        program = torch.export.export(
            graph, (image,), dynamic_shapes=(any_size,), strict=False, prefer_deferred_runtime_asserts_over_guards=True
        )
        names = {"input_names": ["image"], "output_names": list(OUTPUTS)}
        exported = torch.onnx.export(program, dynamo=True, opset_version=OPSET, verbose=False, optimize=False, **names)
        assert exported is not None
        _with_plain_constants(exported.model)
    return exported.model_proto


def _with_plain_constants(model: Any) -> None:
    """What follows from constants alone becomes one. The exporter's own optimisation also looks for patterns, for a minute.

    Products of any size do: a convolution's weights, multiplied by the norm that is folded in.
    """
    passes = needs("onnx_ir.passes.common")
    needs("onnxscript.optimizer").fold_constants(
        model, output_size_limit=2**31, should_fold=lambda node: True if node.op_type == "Mul" else None
    )
    passes.RemoveUnusedNodesPass()(model)
    passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)


def cut_to_true_size(model: Any) -> None:
    """Let the graph begin with `image[:, :height, :width]`; `size` is an input with a default, by which nothing is cut."""
    onnx = needs("onnx")
    graph, helper = model.graph, onnx.helper
    for node in graph.node:
        node.input[:] = ["true_image" if name == "image" else name for name in node.input]
    whole = onnx.numpy_helper.from_array(needs("numpy").full(2, 2**31 - 1, dtype="int64"), "size")
    fixed = {"true_image_start": [0, 0], "true_image_axes": [1, 2]}
    graph.initializer.extend(
        [whole, *(helper.make_tensor(name, onnx.TensorProto.INT64, [2], values) for name, values in fixed.items())]
    )
    graph.input.append(helper.make_tensor_value_info("size", onnx.TensorProto.INT64, [2]))
    cut = helper.make_node("Slice", ["image", "true_image_start", "size", "true_image_axes"], ["true_image"], "cut_to_true_size")
    graph.node.insert(0, cut)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of torch's exporter about its own parts, which nobody who exports can mend."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
