"""`cityscapes_r50` whose logits reach pixels by learnt shares: --model.upsampling convex."""

from dataclasses import replace
from functools import partial

from peers import unipan_r50

CONFIG = replace(unipan_r50.CONFIG, model=replace(unipan_r50.CONFIG.model, upsampling="convex"))
training_step = partial(unipan_r50.training_step, config=CONFIG)
prediction = partial(unipan_r50.prediction, config=CONFIG)
