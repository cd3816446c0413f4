"""From settings to a network: here configuration stops."""

from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from unipan.classes import ClassTable
from unipan.config import ModelConfig
from unipan.models.backbone import Backbone
from unipan.models.decoder import AffinityHead, SemanticHead, group_norm
from unipan.models.detector import Detector, NoDetector
from unipan.models.network import PanopticNetwork
from unipan.models.panoptic import UnifiedHead
from unipan.models.proposals import ProposalNetwork
from unipan.models.two_stage import TwoStageDetector


def build_network(config: ModelConfig, classes: ClassTable) -> PanopticNetwork:
    """The network of the settings for a class table; with ImageNet weights where `config.pretrained`."""
    backbone = Backbone(name=config.backbone, pretrained=config.pretrained)
    return PanopticNetwork(
        backbone=backbone,
        fpn=FeaturePyramidNetwork(
            backbone.channels, config.fpn_channels, LastLevelMaxPool(), norm_layer=group_norm if config.fpn_norm else None
        ),
        semantic_head=SemanticHead(in_channels=config.fpn_channels, channels=config.decoder_channels, num_classes=len(classes)),
        detector=build_detector(config, classes),
        affinity_head=AffinityHead(
            in_channels=config.fpn_channels, channels=config.decoder_channels, affinity_dim=config.affinity_dim
        ),
        panoptic_head=UnifiedHead(form=config.propagation, residual=config.residual),
        stuff=classes.stuff,
        things=classes.things,
        variant=config.variant,
        score_factor=config.score_factor,
        void_channel=config.void_channel,
    )


def build_detector(config: ModelConfig, classes: ClassTable) -> Detector:
    """The two-stage detector, or none for a table without things."""
    if not classes.things:
        return NoDetector()
    settings = config.detector
    proposals = ProposalNetwork(
        channels=config.fpn_channels,
        anchor_scale=settings.anchor_scale,
        aspect_ratios=settings.aspect_ratios,
        before_nms=settings.proposals_before_nms,
        proposals=settings.proposals,
        nms=settings.proposal_nms,
        samples=settings.rpn_samples,
    )
    return TwoStageDetector(
        proposals=proposals,
        channels=config.fpn_channels,
        things=classes.things,
        anchor_scale=settings.anchor_scale,
        roi_samples=settings.roi_samples,
        box_channels=settings.box_channels,
        mask_channels=settings.mask_channels if config.masks else None,
        score_threshold=settings.score_threshold,
        nms=settings.nms,
        max_detections=settings.max_detections,
    )
