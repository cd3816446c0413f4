"""An exported graph under onnxruntime. H x W pixels as the network sees them; N detections; S stuff classes."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from unipan.classes import ClassTable
from unipan.errors import InputError
from unipan.models.decode import labels_of_channels
from unipan.ops.segments import panoptic_map
from unipan.tools.onnx.write import FACTS, OUTPUTS, needs
from unipan.types import Detections, PanopticMap, Size


class GraphAnswer(NamedTuple):
    """What the graph says of one image."""

    ids: NDArray[np.int32]  # (H, W) 0 is void, k + 1 the k-th stuff class, S + n + 1 detection n
    scores: NDArray[np.float32]  # (N,)
    labels: NDArray[np.int64]  # (N,) class indices
    boxes: NDArray[np.float32]  # (N, 4) x1 y1 x2 y2


class OnnxGraph:
    """An exported file, opened."""

    def __init__(self, path: Path) -> None:
        runtime: Any = needs("onnxruntime")
        try:
            runtime.set_default_logger_severity(3)  # else it warns that `size` has a default
            self.session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            facts = json.loads(self.session.get_modelmeta().custom_metadata_map[FACTS])
        except Exception as error:  # onnxruntime's own have no common base
            reason = str(error).splitlines()[0]
            raise InputError(f"{path} is no file that unipan has exported: {reason}. Make one with unipan export.") from error
        self.classes = ClassTable.from_categories(facts["categories"])

    def __call__(self, image: NDArray[np.uint8], true_size: Size | None = None) -> GraphAnswer:
        """image: (3, H, W) RGB. true_size: its height and width where the rest is padding; then so are those of the answer."""
        size = {} if true_size is None else {"size": np.array(true_size, dtype=np.int64)}
        return GraphAnswer(*self.session.run(list(OUTPUTS), {"image": image, **size}))

    def panoptic(self, answer: GraphAnswer, size: Size) -> PanopticMap:
        """The answer as a map of an image of `size`, each pixel as the nearest of the graph's."""
        rows, columns = (
            ((np.arange(own) + 0.5) * graph / own).astype(np.int64) for own, graph in zip(size, answer.ids.shape, strict=True)
        )
        ids = torch.from_numpy(answer.ids[rows[:, None], columns])
        detections = Detections(*(torch.from_numpy(part) for part in (answer.boxes, answer.scores, answer.labels)))
        return panoptic_map(ids, labels_of_channels(detections, self.classes), self.classes)
