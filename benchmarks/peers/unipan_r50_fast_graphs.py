"""`cityscapes_r50_fast` with `train.cuda_graphs`, which is of trainings alone."""

from functools import partial

from peers import unipan_r50_fast
from peers.unipan_r50 import graphed_step

training_step = partial(graphed_step, config=unipan_r50_fast.CONFIG)
