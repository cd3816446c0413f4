"""Shares 0..1 as whole numbers, whose sums are the same in any order."""

UNITS = 2**40
"""Of a share of 1."""
