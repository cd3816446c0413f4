"""unipan: panoptic segmentation through a learnt dense instance affinity."""
