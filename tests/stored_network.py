"""What is written to files and read again."""

import torch
from torch import nn


class Network(nn.Module):
    """Weights, a buffer that is not a number of the usual type, and one that is not saved."""

    def __init__(self, *, width: int = 3, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layer = nn.Linear(2, width)
        self.scale = nn.Parameter(torch.rand(()))
        self.register_buffer("seen", torch.tensor(seed))
        self.register_buffer("derived", torch.ones(1), persistent=False)
