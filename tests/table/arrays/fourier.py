import numpy as np

from tests.table import ONE_OPERAND, Row, bad, case, normal


def real_and_imag(z):
    return z.real, z.imag


def transform(function):
    def of_parts(real, imag=None, n=None, axis=-1, norm=None):
        return real_and_imag(function(real if imag is None else real + 1j * imag, n, axis, norm))

    return of_parts


def cases(draw):
    return {
        "plain": case(*draw(5)),
        "plain, even": case(*draw(2, 6)),
        "plain, cut": case(*draw(2, 6), n=3),
        "plain, filled": case(*draw(2, 5), n=8),
        "plain, one element": case(*draw(3, 1), n=1),
        "plain, ortho": case(*draw(4, 3), axis=0, norm="ortho"),
        "plain, forward": case(*draw(4, 3), axis=0, norm="forward"),
        "negative axis": case(*draw(2, 5, 3), axis=-2),
        "negative axis, filled": case(*draw(2, 5, 3), n=7, axis=-2),
        "empty": case(*draw(0, 4)),
    }


def one(*shape):
    return (normal(*shape),)


def two(*shape):
    return normal(*shape), normal(*shape)


def complex_cases():
    return {**cases(two), "plain, real": case(normal(2, 5)), "plain, real, filled": case(normal(2, 5), n=8)}


def raises(name, *more):
    return (
        bad(ValueError, rf"{name}: axis 1 is not one of x \(3,\)", np.ones(3), *more, axis=1),
        bad(ValueError, r"norm must be 'backward'", np.ones(3), *more, norm="both"),
        bad(ValueError, r"one element or more along axis", np.ones((2, 0)), *[m[:0] for m in more], n=0),
        bad(TypeError, "list is not supported", [1.0], *more),
    )


UNEQUAL = bad(ValueError, r"fft: real \(3,\) and imag \(4,\) must have the same shape", np.ones(3), np.ones(4))
SUMS: dict[str | int, str] = dict.fromkeys((0, 1), "each gradient is a sum of all others, with weights that may be 0")
EXEMPT = {**ONE_OPERAND, "0-d": "it has no axis"}

ROWS = [
    Row("fft", transform(np.fft.fft), complex_cases(), (*raises("fft"), UNEQUAL), EXEMPT, non_finite_exempt=SUMS),
    Row("ifft", transform(np.fft.ifft), complex_cases(), (*raises("ifft"), UNEQUAL), EXEMPT, non_finite_exempt=SUMS),
    Row(
        "rfft",
        lambda x, *a, **k: real_and_imag(np.fft.rfft(x, *a, **k)),
        cases(one),
        raises("rfft"),
        EXEMPT,
        non_finite_exempt=SUMS,
    ),
    Row(
        "irfft",
        lambda real, imag, *a, **k: np.fft.irfft(real + 1j * imag, *a, **k),
        cases(two),
        raises("irfft", np.ones(3))[:2],
        EXEMPT,
        non_finite_exempt=SUMS,
    ),
]
