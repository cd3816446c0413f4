"""From settings to a network: here configuration stops."""

from dataclasses import replace
from typing import assert_never

from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from unipan.classes import ClassTable
from unipan.config import FINEST_LEVEL, Config, ModelConfig
from unipan.models.backbone import Backbone, needs_norms
from unipan.models.detector import Detector, NoDetector
from unipan.models.existence import ExistenceHead, NoExistence
from unipan.models.feature_decoder import AffinityHead, FeatureDecoder, SemanticHead, group_norm
from unipan.models.network import PanopticNetwork
from unipan.models.one_stage import OneStageDetector
from unipan.models.panoptic_head import (
    AffinityFeatures,
    Existence,
    NoAffinity,
    NoPotential,
    PanopticLogits,
    Potential,
    PotentialAlone,
    UnifiedHead,
)
from unipan.models.potential import DynamicPotential
from unipan.models.proposals import ProposalNetwork
from unipan.models.pyramid import Pyramid
from unipan.models.two_stage import TwoStageDetector
from unipan.models.upsampling import BilinearUpsampling, ConvexUpsampling, Upsampling
from unipan.models.upsnet import UpsnetPotential


def untrained_network(config: Config, classes: ClassTable) -> PanopticNetwork:
    """A run's network before its weights are filled in: no ImageNet weights are looked for."""
    return build_network(replace(config.model, pretrained=False), classes)


def build_network(config: ModelConfig, classes: ClassTable) -> PanopticNetwork:
    """The network of the settings for a class table; with ImageNet weights where `config.pretrained`."""
    backbone = Backbone(
        name=config.backbone,
        pretrained=config.pretrained,
        freeze_batchnorm=config.freeze_batchnorm,
        checkpointing=config.checkpointing,
    )
    return PanopticNetwork(
        backbone=backbone,
        fpn=Pyramid(
            backbone.channels,
            config.fpn_channels,
            LastLevelMaxPool(),
            norm_layer=group_norm if _norms(config, config.fpn_norm) else None,
        ),
        shared_decoder=_decoder(config, 0, config.shared_blocks),
        semantic_head=SemanticHead(decoder=_own_decoder(config), num_classes=len(classes)),
        detector=build_detector(config, classes),
        potential=build_potential(config, classes),
        affinity_head=build_affinity_head(config),
        existence_head=build_existence_head(config, classes),
        panoptic_head=build_panoptic_head(config, classes),
        upsampling=build_upsampling(config),
    )


def _norms(config: ModelConfig, setting: bool | None) -> bool:
    return needs_norms(config.backbone) if setting is None else setting


def build_potential(config: ModelConfig, classes: ClassTable) -> Potential:
    """What makes the panoptic channels; none for the heuristic merger, which works on finished parts."""
    match config.panoptic:
        case "unified":
            return DynamicPotential(
                stuff=classes.stuff,
                things=classes.things,
                variant=config.variant,
                score_factor=config.score_factor,
                void_channel=config.void_channel,
            )
        case "upsnet":
            return UpsnetPotential(stuff=classes.stuff, things=classes.things)
        case "heuristic":
            return NoPotential()
    assert_never(config.panoptic)


def build_affinity_head(config: ModelConfig) -> AffinityFeatures:
    """The affinity head; only the unified head has one."""
    if config.panoptic != "unified":
        return NoAffinity()
    return AffinityHead(decoder=_own_decoder(config), affinity_dim=config.affinity_dim, position=config.affinity_position)


def _own_decoder(config: ModelConfig) -> FeatureDecoder:
    """A head's decoder: the blocks that are not shared."""
    return _decoder(config, config.shared_blocks, len(config.decoder_channels))


def _decoder(config: ModelConfig, first: int, end: int) -> FeatureDecoder:
    """Blocks `first` up to `end` of a feature decoder."""
    widths = [config.fpn_channels, *config.decoder_channels]
    return FeatureDecoder(
        in_channels=widths[first],
        channels=widths[first + 1 : end + 1],
        checkpointing=config.checkpointing,
        first=first,
        pointwise_levels=config.deformable_from - FINEST_LEVEL,
    )


def build_existence_head(config: ModelConfig, classes: ClassTable) -> Existence:
    """What says which detections stand for a thing of their own; only the unified head has use for it."""
    if config.panoptic != "unified" or not config.existence:
        return NoExistence()
    return ExistenceHead(num_stuff=len(classes.stuff))


def build_panoptic_head(config: ModelConfig, classes: ClassTable) -> PanopticLogits:
    """What turns the channels into logits; for the baselines they are that already."""
    if config.panoptic != "unified":
        return PotentialAlone()
    return UnifiedHead(
        form=config.propagation,
        residual=config.residual,
        num_stuff=len(classes.stuff),
        stuff_cells=config.stuff_cells,
    )


def build_upsampling(config: ModelConfig) -> Upsampling:
    """What brings logits to pixels; Panoptic FPN has no panoptic loss that could teach it anything."""
    if config.panoptic == "heuristic" or config.upsampling == "bilinear":
        return BilinearUpsampling()
    return ConvexUpsampling(channels=config.fpn_channels)


def build_detector(config: ModelConfig, classes: ClassTable) -> Detector:
    """The detector of the settings, or none for a table without things."""
    if not classes.things:
        return NoDetector()
    match config.detector.kind:
        case "two_stage":
            return _two_stage(config, classes)
        case "one_stage":
            return _one_stage(config, classes)
    assert_never(config.detector.kind)


def _two_stage(config: ModelConfig, classes: ClassTable) -> TwoStageDetector:
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
        class_agnostic=settings.class_agnostic,
        mask_channels=settings.mask_channels if config.masks else None,
        mask_norm=_norms(config, settings.mask_norm),
        score_threshold=settings.score_threshold,
        nms=settings.nms,
        max_detections=settings.max_detections,
    )


def _one_stage(config: ModelConfig, classes: ClassTable) -> OneStageDetector:
    settings = config.detector
    return OneStageDetector(
        channels=config.fpn_channels,
        things=classes.things,
        anchor_scale=settings.anchor_scale,
        before_nms=settings.proposals_before_nms,
        mask_samples=settings.roi_samples // 4,
        class_agnostic=settings.class_agnostic,
        mask_channels=settings.mask_channels if config.masks else None,
        mask_norm=_norms(config, settings.mask_norm),
        score_threshold=settings.score_threshold,
        nms=settings.nms,
        max_detections=settings.max_detections,
    )
