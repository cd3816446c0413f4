"""Other packages' networks on the very image that ours gets; each file has `training_step` and `prediction`."""
