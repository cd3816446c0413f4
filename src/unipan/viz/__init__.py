"""Drawings of images, answers and training."""
