"""Fragments of programs that readers write in steps 1 to 16 of the book, and a function that runs a program."""

from __future__ import annotations

import pytest

SQUARE = {
    "input.data": """
class Square(Function):
    def forward(self, x):
        y = x ** 2
        return y
    def backward(self, gy):
        x = self.input.data
        gx = 2 * x * gy
        return gx
""",
    "inputs[0].data": """
class Square(Function):
    def forward(self, x):
        return x ** 2
    def backward(self, gy):
        x = self.inputs[0].data
        return 2 * x * gy
""",
    "unpacked, tuple": """
class Square(Function):
    def forward(self, x):
        y = x ** 2
        return (y,)
    def backward(self, gy):
        x, = self.inputs
        return (2 * x * gy,)
""",
    "in place": """
class Square(Function):
    def forward(self, x):
        return x * x
    def backward(self, gy):
        gy *= 2
        gy *= self.input.data
        return gy
""",
    "saved on self": """
class Square(Function):
    def forward(self, x):
        self.x = x
        return np.square(x)
    def backward(self, gy):
        return gy * 2.0 * self.x
""",
}
EXP = {
    "input.data": """
class Exp(Function):
    def forward(self, x):
        return np.exp(x)
    def backward(self, gy):
        x = self.input.data
        return np.exp(x) * gy
""",
    "output": """
class Exp(Function):
    def forward(self, x):
        y = np.exp(x)
        return y,
    def backward(self, gy):
        y = self.outputs[0]()
        return y * gy
""",
    "output property": """
class Exp(Function):
    def forward(self, x):
        return np.exp(x)
    def backward(self, gy):
        return self.output.data * gy
""",
    "math": """
import math
class Exp(Function):
    def forward(self, x):
        return math.exp(x)
    def backward(self, gy):
        return math.exp(self.input.data) * gy
""",
}
ADD = {
    "plain": """
class Add(Function):
    def forward(self, x0, x1):
        y = x0 + x1
        return y
    def backward(self, gy):
        return gy, gy
""",
    "tuple": """
class Add(Function):
    def forward(self, x0, x1):
        return (x0 + x1,)
    def backward(self, gy):
        return [gy, gy]
""",
    "star": """
class Add(Function):
    def forward(self, *xs):
        x0, x1 = xs
        y = x0 + x1
        return y,
    def backward(self, gy):
        return (gy, gy)
""",
}
HEAD = """
import numpy as np
from passus import Variable, Function, as_array
"""
FUNCTIONS = """
def square(x):
    return Square()(x)
def exp(x):
    f = Exp()
    return f(x)
def add(x0, x1):
    return Add()(x0, x1)
"""
WALKS = {
    "by hand": """
A = Square(); B = Exp(); C = Square()
x = Variable(np.array(0.5))
a = A(x); b = B(a); y = C(b)
y.grad = np.array(1.0)
b.grad = C.backward(y.grad)
a.grad = B.backward(b.grad)
x.grad = A.backward(a.grad)
""",
    "by hand, arrays": """
A, B, C = Square(), Exp(), Square()
x = Variable(np.array(0.5))
y = C(B(A(x)))
gy = np.array(1.0)
g = gy
for f in (C, B, A):
    g = f.backward(g)
    if isinstance(g, tuple):
        g, = g
x.grad = g if isinstance(g, Variable) else as_array(g)
""",
    "recursively": """
def walk(v):
    f = v.creator
    if f is not None:
        x = f.input
        gx = f.backward(v.grad)
        x.grad = gx[0] if isinstance(gx, tuple) else gx
        walk(x)
x = Variable(np.array(0.5))
y = square(exp(square(x)))
y.grad = np.array(1.0)
walk(y)
""",
    "in a loop over input and output": """
x = Variable(np.array(0.5))
y = square(exp(square(x)))
y.grad = np.array(1.0)
funcs = [y.creator]
while funcs:
    f = funcs.pop()
    x, y = f.input, f.output
    gx = f.backward(y.grad)
    x.grad = gx[0] if isinstance(gx, tuple) else gx
    if x.creator is not None:
        funcs.append(x.creator)
""",
    "in a loop over inputs and outputs": """
x = Variable(np.array(0.5))
y = square(exp(square(x)))
y.grad = np.ones_like(y.data)
funcs = [y.creator]
while funcs:
    f = funcs.pop()
    gys = [output.grad for output in f.outputs]
    gxs = f.backward(*gys)
    if not isinstance(gxs, tuple):
        gxs = (gxs,)
    for x, gx in zip(f.inputs, gxs):
        if x.grad is None:
            x.grad = gx
        else:
            x.grad = x.grad + gx
        if x.creator is not None:
            funcs.append(x.creator)
""",
    "in a loop over weak references": """
x = Variable(np.array(0.5))
y = square(exp(square(x)))
y.grad = np.array(1.0)
funcs, seen_set = [y.creator], {y.creator}
while funcs:
    f = funcs.pop()
    gxs = f.backward(*[output().grad for output in f.outputs])
    gxs = gxs if isinstance(gxs, tuple) else (gxs,)
    for x, gx in zip(f.inputs, gxs):
        x.grad = gx if x.grad is None else x.grad + gx
        if x.creator is not None and x.creator not in seen_set:
            seen_set.add(x.creator)
            funcs.append(x.creator)
    funcs.sort(key=lambda f: f.generation)
""",
    "backward": """
x = Variable(np.array(0.5))
y = square(exp(square(x)))
y.backward()
""",
    "backward, seeded": """
x = Variable(np.array(0.5))
a = square(x)
b = exp(a)
y = square(b)
assert y.creator.inputs[0] is b and y.creator.inputs[0].creator.inputs[0] is a
y.grad = np.array(1.0)
y.backward()
""",
}


def run(program: str, capsys: pytest.CaptureFixture[str]) -> str:
    exec(compile(HEAD + program, "program", "exec"), {"__name__": "__main__"})
    return capsys.readouterr().out
