"""Readers of data sets, and the way from their images to batches."""
