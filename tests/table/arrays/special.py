from scipy import special

from tests.table import unary, uniform

ROWS = [
    unary(
        "erf", special.erf, lambda *shape: uniform(-4.0, 4.0, *shape), rtol=2e-15, atol=0.0, rtol32=4e-7, atol32=1e-7
    ),
    unary("normal_cdf", special.ndtr, rtol=1e-14, atol=0.0),
]
