"""Programs of readers that subclass Variable and Function, as in steps 7 to 17 of the book."""

from __future__ import annotations

import pytest

from tests.dezero.programs import ADD, EXP, SQUARE, run

SUBCLASSES = {
    "step 7": """
class Box(Variable):
    def set_creator(self, func):
        self.creator = func
    def backward(self):
        f = self.creator
        if f is not None:
            x = f.input
            x.grad = f.backward(self.grad)
            x.backward()
class Step(Function):
    def __call__(self, input):
        x = input.data
        y = self.forward(x)
        output = Box(as_array(y))
        output.set_creator(self)
        self.input = input
        self.output = output
        return output
""",
    "step 8, without super().__init__": """
class Box(Variable):
    def __init__(self, data):
        self.data = data
        self.grad = None
        self.creator = None
    def set_creator(self, func):
        self.creator = func
    def backward(self):
        funcs = [self.creator]
        while funcs:
            f = funcs.pop()
            x, y = f.input, f.output
            x.grad = f.backward(y.grad)
            if x.creator is not None:
                funcs.append(x.creator)
class Step(Function):
    def __call__(self, input):
        x = input.data
        y = self.forward(x)
        output = Box(as_array(y))
        output.set_creator(self)
        self.input = input
        self.output = output
        return output
""",
    "steps 13 to 16": """
class Box(Variable):
    def __init__(self, data):
        if data is not None and not isinstance(data, np.ndarray):
            raise TypeError(type(data))
        self.data = data
        self.grad = None
        self.creator = None
        self.generation = 0
    def set_creator(self, func):
        self.creator = func
        self.generation = func.generation + 1
    def backward(self):
        if self.grad is None:
            self.grad = np.ones_like(self.data)
        funcs, seen_set = [], set()
        def add_func(f):
            if f not in seen_set:
                funcs.append(f)
                seen_set.add(f)
                funcs.sort(key=lambda x: x.generation)
        add_func(self.creator)
        while funcs:
            f = funcs.pop()
            gys = [output.grad for output in f.outputs]
            gxs = f.backward(*gys)
            if not isinstance(gxs, tuple):
                gxs = (gxs,)
            for x, gx in zip(f.inputs, gxs):
                x.grad = gx if x.grad is None else x.grad + gx
                if x.creator is not None:
                    add_func(x.creator)
class Step(Function):
    def __call__(self, *inputs):
        xs = [x.data for x in inputs]
        ys = self.forward(*xs)
        if not isinstance(ys, tuple):
            ys = (ys,)
        outputs = [Box(as_array(y)) for y in ys]
        self.generation = max([x.generation for x in inputs])
        for output in outputs:
            output.set_creator(self)
        self.inputs = inputs
        self.outputs = outputs
        return outputs if len(outputs) > 1 else outputs[0]
""",
    "step 17, own call and backward of passus": """
import weakref
Box = Variable
class Step(Function):
    def __call__(self, *inputs):
        xs = [x.data for x in inputs]
        ys = self.forward(*xs)
        if not isinstance(ys, tuple):
            ys = (ys,)
        outputs = [Box(as_array(y)) for y in ys]
        self.generation = max([x.generation for x in inputs])
        for output in outputs:
            output.set_creator(self)
        self.inputs = inputs
        self.outputs = [weakref.ref(output) for output in outputs]
        return outputs if len(outputs) > 1 else outputs[0]
""",
}


@pytest.mark.parametrize("classes", SUBCLASSES)
def test_subclassed_variable_and_function(classes, capsys):
    functions = SQUARE["input.data"] + EXP["input.data"]
    program = f"""{SUBCLASSES[classes]}
Function = Step
{functions}
x = Box(np.array(0.5))
y = Square()(Exp()(Square()(x)))
y.grad = np.array(1.0)
y.backward()
print(x.grad)
"""
    assert run(program, capsys) == "3.297442541400256\n"


@pytest.mark.parametrize("classes", ["steps 13 to 16", "step 17, own call and backward of passus"])
def test_branches_with_subclassed_variable_and_function(classes, capsys):
    program = f"""{SUBCLASSES[classes]}
Function = Step
{SQUARE["inputs[0].data"]}{ADD["plain"]}
x = Box(np.array(2.0))
a = Square()(x)
y = Add()(Square()(a), Square()(a))
y.backward()
print(y.data, x.grad)
"""
    assert run(program, capsys) == "32.0 64.0\n"
