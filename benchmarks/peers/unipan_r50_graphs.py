"""`cityscapes_r50` with `train.cuda_graphs`, which is of trainings alone."""

from peers.unipan_r50 import graphed_step

training_step = graphed_step
