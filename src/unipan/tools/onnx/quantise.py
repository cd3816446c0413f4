"""Convolutions and linear layers of an exported graph in 8 bits."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unipan.tools.onnx.write import needs

LAYERS = ("Conv", "Gemm")
"""What becomes 8 bits: the layers with weights. Sizes, boxes, scores and propagation keep their floats."""


def quantise(path: Path, out: Path, images: Iterable[NDArray[np.uint8]]) -> None:
    """Write an exported file with 8-bit layers, ranges measured on images, (3, H, W) RGB each, as the network sees them."""
    quantization = needs("onnxruntime.quantization")
    types = quantization.QuantType
    with TemporaryDirectory() as folder:
        folded = Path(folder) / "folded.onnx"  # biases that are computed from constants become constants
        quantization.quant_pre_process(str(path), str(folded), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(folded),
            str(out),
            _reader(images),
            op_types_to_quantize=list(LAYERS),
            per_channel=True,
            activation_type=types.QUInt8,
            weight_type=types.QInt8,
        )


def _reader(images: Iterable[NDArray[np.uint8]]) -> Any:
    """The images as the library wants them: a dictionary at each call, None after the last."""

    class Reader(needs("onnxruntime.quantization").CalibrationDataReader):
        def __init__(self) -> None:
            self.inputs: Iterator[dict[str, Any]] = ({"image": image} for image in images)

        def get_next(self) -> dict[str, Any]:
            return next(self.inputs, None)  # type: ignore[return-value]

    return Reader()
