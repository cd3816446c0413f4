"""From what the network predicts to named terms that add over images."""
