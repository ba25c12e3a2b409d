"""JAX on the processor. Compilation without optimization is faster, and the numbers are the same."""

import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"
