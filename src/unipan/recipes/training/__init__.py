"""The parts of a training: how it starts, what is logged, checked and kept."""
