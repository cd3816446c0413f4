"""Procedural scenes: endless images with exact truth."""
