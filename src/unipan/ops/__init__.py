"""Arithmetic on tensors, without settings or weights."""
