import numpy as np


class DataLoader:
    def __init__(self, dataset, batch_size, shuffle=True):
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle

    def __len__(self):
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self):
        n = len(self.dataset)
        order = np.random.permutation(n) if self.shuffle else np.arange(n)
        for start in range(0, n, self.batch_size):
            examples = [self.dataset[i] for i in order[start : start + self.batch_size]]
            yield np.stack([x for x, _ in examples]), np.array([t for _, t in examples])


class SeqDataLoader(DataLoader):
    def __init__(self, dataset, batch_size):
        super().__init__(dataset, batch_size, shuffle=False)

    def __len__(self):
        return len(self.dataset) // self.batch_size

    def __iter__(self):
        for step in range(len(self)):
            examples = [self.dataset[row * len(self) + step] for row in range(self.batch_size)]
            yield np.stack([x for x, _ in examples]), np.stack([t for _, t in examples])
