"""The ways from what the network predicts for an image to its answer, and what the affinity says of things from elsewhere."""

import numpy as np
import torch
from numpy.typing import NDArray

from unipan.choices import PanopticHead
from unipan.classes import ClassTable
from unipan.models import heuristic, upsnet
from unipan.models.decode import at_size, decode, in_image
from unipan.models.panoptic_head import UnifiedHead
from unipan.models.upsnet import decode_upsnet
from unipan.ops.upsample import STRIDE
from unipan.types import Admission, Outputs, PanopticMap, Size


def answer_by(
    head: PanopticHead, outputs: Outputs, admission: Admission, *, network_size: Size, size: Size, classes: ClassTable
) -> PanopticMap:
    """The untrimmed answer at `size` by one of the heads; outputs: of one image, which the network saw at `network_size`.

    Every head has its cells brought to pixels in the network's own way, so that heads are compared by what they decide.
    """
    detections, upsampling = outputs.detections[0], outputs.upsampling[0]
    if head == "unified":
        admitted = detections.take(outputs.admitted[0])
        return decode(outputs.panoptic[0], admitted, upsampling, network_size=network_size, size=size, classes=classes)
    merge, most = (decode_upsnet, upsnet.MAX_OVERLAP) if head == "upsnet" else (heuristic.merge, heuristic.MAX_OVERLAP)
    semantic = at_size(outputs.semantic[0], network_size, size, upsampling)
    found = in_image(detections, network_size, size)
    return merge(semantic, found, score_threshold=admission.score_threshold, max_overlap=most, classes=classes)


@torch.no_grad()
def claims_of(
    head: UnifiedHead, outputs: Outputs, network_size: Size, regions: NDArray[np.integer], num_regions: int
) -> NDArray[np.floating]:
    """(R, K): how probable each of R regions of an image is a part of each channel, by the affinity of what was predicted for it.

    regions: (H, W) in 0..R, R for none. One that has no cell's middle is a part of nothing.
    """
    potentials, affinity, existence = outputs.potentials[0], outputs.affinity[0], outputs.existence[0]
    middles = [
        ((torch.arange(cells) + 0.5) * STRIDE * length / seen).long().clamp(max=length - 1)
        for cells, length, seen in zip(potentials.shape[1:], regions.shape, network_size, strict=True)
    ]
    of_cells = torch.from_numpy(regions)[middles[0]][:, middles[1]].long().to(potentials.device)
    return head.claims(potentials, affinity, existence, of_cells, num_regions).cpu().numpy()
