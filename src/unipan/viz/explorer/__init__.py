"""The explorer: one HTML page that shows what the network predicts for an image, and the affinity under the pointer."""
