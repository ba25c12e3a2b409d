"""Data loaders: iterate over a dataset in batches.

>>> import numpy as np
>>> from passus.datasets import ArrayDataset
>>> data = ArrayDataset(np.zeros((100, 2), np.float32), np.zeros(100, np.int64))
>>> for x, t in DataLoader(data, batch_size=50):
...     print(x.shape, t.shape)
(50, 2) (50,)
(50, 2) (50,)
"""

from passus import exports as _exports
from passus.dataloaders.base import Loader as Loader
from passus.dataloaders.buckets import BucketDataLoader as BucketDataLoader
from passus.dataloaders.collate import collate as collate
from passus.dataloaders.loader import DataLoader as DataLoader
from passus.dataloaders.padding import PaddingCollate as PaddingCollate
from passus.dataloaders.padding import pad_sequences as pad_sequences
from passus.dataloaders.sequence import SeqDataLoader as SeqDataLoader

_exports.export_names(__name__)
