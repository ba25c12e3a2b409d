import numpy as np


class Dataset:
    def __init__(self, train=True, transform=lambda x: x):
        self.train, self.transform = train, transform
        self.prepare()

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        return self.transform(self.data[index]), self.label[index]

    def prepare(self):
        raise NotImplementedError


class Spiral(Dataset):
    def prepare(self):
        rng = np.random.default_rng(0 if self.train else 1)
        radius = np.tile(np.linspace(0, 1, 100), 3)
        self.label = np.repeat(np.arange(3), 100)
        angle = self.label * 4 + 4 * radius + 0.2 * rng.standard_normal(300)
        self.data = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1).astype(np.float32)


class SinCurve(Dataset):
    def prepare(self):
        angles = np.linspace(0, 2 * np.pi, 1001)
        y = np.sin(angles) + np.random.uniform(-0.05, 0.05, angles.size) if self.train else np.cos(angles)
        y = y.astype(np.float32)[:, None]
        self.data, self.label = y[:-1], y[1:]
