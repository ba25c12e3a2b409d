"""The task in PyTorch with `torch.compile`."""

from __future__ import annotations

from functools import partial

import torch

from benchmarks.char_gpt import in_torch

Learner = partial(in_torch.Learner, prepared=torch.compile)
