"""The whole way from pixels to an answer as one module of tensors alone: what an exported graph holds.

S stuff classes; N admitted detections; H x W pixels as the network sees them.
"""

import torch
from torch import Tensor, nn

from unipan.classes import VOID_ID
from unipan.models.decode import ids_of_channels
from unipan.models.network import PanopticNetwork
from unipan.ops.upsample import upsample_logits
from unipan.types import Admission


class AnswerGraph(nn.Module):
    """The unified answer, with the network's own forward pass; every logit of every pixel is made, in plain operators."""

    def __init__(self, network: PanopticNetwork, *, admission: Admission, num_stuff: int, min_stuff_area_px: int) -> None:
        super().__init__()
        self.network = network.eval()
        self.admission = admission
        self.num_stuff = num_stuff
        self.min_stuff_area_px = min_stuff_area_px

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """image: (3, H, W) uint8 RGB -> ids (H, W) int32, scores (N,), labels (N,) class indices, boxes (N, 4) x1 y1 x2 y2.

        Id 0 is void, k + 1 the k-th stuff class, S + n + 1 detection n.
        """
        height, width = image.shape[1:]
        outputs = self.network.forward_one_size(image[None].float() / 255, None, self.admission)
        admitted = outputs.detections[0].take(outputs.admitted[0])
        logits = upsample_logits(outputs.panoptic[0], (height, width), outputs.upsampling[0])
        nothing = logits.new_full((1, height, width), -torch.inf)  # wins where there is no channel at all
        channel = torch.cat([logits, nothing]).argmax(0)
        ids = ids_of_channels(channel, self.num_stuff + admitted.scores.shape[0])
        return self._trimmed(ids), admitted.scores, admitted.labels, admitted.boxes

    def _trimmed(self, ids: Tensor) -> Tensor:
        """Void in place of stuff segments with fewer pixels than the limit."""
        if not self.min_stuff_area_px:
            return ids
        kind = ids.clamp(max=self.num_stuff + 1).long()  # the last is any thing
        areas = torch.zeros(self.num_stuff + 2, dtype=torch.int64).scatter_add(0, kind.flatten(), torch.ones_like(kind).flatten())
        small = areas < self.min_stuff_area_px
        small[-1] = False
        return ids.masked_fill(small[kind], VOID_ID)
