import numpy as np


class Optimizer:
    def setup(self, target):
        self.target = target
        return self

    def update(self):
        for p in self.target.params():
            if p.grad is not None:
                self.update_one(p)

    def update_one(self, p):
        raise NotImplementedError


class SGD(Optimizer):
    def __init__(self, lr=0.01):
        self.lr = lr

    def update_one(self, p):
        p.data -= self.lr * p.grad.data


class MomentumSGD(Optimizer):
    def __init__(self, lr=0.01, momentum=0.9):
        self.lr, self.momentum = lr, momentum
        self.velocities = {}

    def update_one(self, p):
        v = self.velocities.setdefault(p, np.zeros_like(p.data))
        v *= self.momentum
        v -= self.lr * p.grad.data
        p.data += v
