"""`cityscapes_r50_fast`: P2 goes through a 1x1 convolution, not the decoders' blocks, which share their first; 512 proposals."""

from functools import partial

from peers import unipan_r50
from unipan.presets import cityscapes_r50_fast

CONFIG = cityscapes_r50_fast()
training_step = partial(unipan_r50.training_step, config=CONFIG)
prediction = partial(unipan_r50.prediction, config=CONFIG)
