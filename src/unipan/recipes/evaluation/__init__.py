"""The parts of an evaluation: what is taken from an image, what was found."""
