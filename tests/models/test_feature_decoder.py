"""The decoder of the semantic head and of the affinity's, as the paper's Fig. A draws it."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torchvision.ops import deform_conv2d

from unipan.models.feature_decoder import AffinityHead, DeformBlock, FeatureDecoder, SemanticHead
from unipan.models.network import PanopticNetwork


def test_a_block_is_deformable_convolution_group_norm_relu() -> None:
    """Beside torchvision's operator and PyTorch's functions, in the order of Fig. A."""
    torch.manual_seed(0)
    block, x = DeformBlock(8, 64), torch.randn(1, 8, 9, 11)
    torch.nn.init.normal_(block.offsets.weight, std=0.1)
    torch.nn.init.normal_(block.norm.weight)
    torch.nn.init.normal_(block.norm.bias)
    convolved = deform_conv2d(x, block.offsets(x), block.weight, padding=(1, 1))
    expected = F.group_norm(convolved, 32, block.norm.weight, block.norm.bias).relu()
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


def test_the_levels_share_their_blocks() -> None:
    """Two equal levels give equal features; a coarser one is enlarged and stands behind them; then comes the classifier."""
    torch.manual_seed(0)
    head = SemanticHead(decoder=FeatureDecoder(in_channels=8, channels=(16, 16), checkpointing=False), num_classes=3)
    fine, coarse = torch.randn(1, 8, 8, 12), torch.randn(1, 8, 4, 6)
    levels = head.decoder([fine, fine, coarse, coarse])
    assert torch.equal(levels[0], levels[1])
    assert torch.equal(levels[2], head.decoder.blocks(coarse))
    upsampled = [F.interpolate(level, (8, 12), mode="bilinear", align_corners=False) for level in levels]
    logits = head([fine, fine, coarse, coarse])
    joined = F.conv2d(torch.cat(upsampled, 1), head.classifier.weight, head.classifier.bias)
    torch.testing.assert_close(logits, joined)


def test_the_affinity_head_has_a_decoder_of_its_own(small_network: Callable[..., PanopticNetwork]) -> None:
    network = small_network()
    assert isinstance(network.affinity_head, AffinityHead)
    decoders = [network.semantic_head.decoder, network.affinity_head.decoder]
    shapes = [{name: value.shape for name, value in decoder.state_dict().items()} for decoder in decoders]
    assert shapes[0] == shapes[1]
    pairs = zip(*(decoder.blocks for decoder in decoders), strict=True)
    assert not any(torch.equal(one.weight, other.weight) for one, other in pairs)


def test_the_affinity_head_projects_its_decoders_features() -> None:
    decoder = FeatureDecoder(in_channels=8, channels=(16, 16), checkpointing=False)
    assert AffinityHead(decoder=decoder, affinity_dim=5, position=False)([torch.zeros(1, 8, 4, 4)] * 4).shape == (1, 5, 4, 4)
