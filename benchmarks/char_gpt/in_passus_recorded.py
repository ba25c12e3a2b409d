"""The task in passus with `passus.compile`."""

from __future__ import annotations

from functools import partial

import passus
from benchmarks.char_gpt import in_passus

Learner = partial(in_passus.Learner, prepared=passus.compile)
