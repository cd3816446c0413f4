"""`cityscapes_r50` whose two feature decoders have their first block in common: --model.shared-blocks 1."""

from dataclasses import replace
from functools import partial

from peers import unipan_r50

CONFIG = replace(unipan_r50.CONFIG, model=replace(unipan_r50.CONFIG.model, shared_blocks=1))
training_step = partial(unipan_r50.training_step, config=CONFIG)
prediction = partial(unipan_r50.prediction, config=CONFIG)
