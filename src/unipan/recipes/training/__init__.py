"""The parts of a training: how it starts, what is written down and watched, what is kept."""
