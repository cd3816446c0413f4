"""The network, and the ways from its outputs to an answer."""
