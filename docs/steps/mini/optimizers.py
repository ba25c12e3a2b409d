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


class Adam(Optimizer):
    def __init__(self, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        self.t, self.moments = 0, {}

    def update(self):
        self.t += 1
        super().update()

    def update_one(self, p):
        m, v = self.moments.setdefault(p, (np.zeros_like(p.data), np.zeros_like(p.data)))
        g = p.grad.data
        m += (1 - self.beta1) * (g - m)
        v += (1 - self.beta2) * (g * g - v)
        m_hat, v_hat = m / (1 - self.beta1**self.t), v / (1 - self.beta2**self.t)
        p.data -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
