"""The problems on sequences in passus with `passus.compile`."""

from __future__ import annotations

from functools import partial

import passus
from benchmarks.sequences import in_passus

recurrent = partial(in_passus.recurrent, prepared=passus.compile)
language = partial(in_passus.language, prepared=passus.compile)
generation = partial(in_passus.generation, compile=True)
encoding = partial(in_passus.encoding, prepared=passus.compile)
attention = partial(in_passus.attention, prepared=passus.compile)
