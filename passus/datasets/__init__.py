"""Datasets: small ones that need no network, and standard ones that are downloaded once.

>>> x, t = Spiral()[0]
>>> x.shape
(2,)
"""

from passus import answers as _answers
from passus import exports as _exports
from passus import foreign as _foreign
from passus.datasets.base import ArrayDataset as ArrayDataset
from passus.datasets.base import Dataset as Dataset
from passus.datasets.cache import load_cache_npz as load_cache_npz
from passus.datasets.cache import save_cache_npz as save_cache_npz
from passus.datasets.cifar import CIFAR10 as CIFAR10
from passus.datasets.cifar import CIFAR100 as CIFAR100
from passus.datasets.digits import Digits as Digits
from passus.datasets.download import cache_folder as cache_folder
from passus.datasets.download import get_file as get_file
from passus.datasets.imagenet import ImageNet as ImageNet
from passus.datasets.japanese_vowels import JapaneseVowels as JapaneseVowels
from passus.datasets.mnist import MNIST as MNIST
from passus.datasets.mnist import FashionMNIST as FashionMNIST
from passus.datasets.mnist5k import MNIST5k as MNIST5k
from passus.datasets.sequences import SinCurve as SinCurve
from passus.datasets.shakespeare import Shakespear as Shakespear
from passus.datasets.shakespeare import Shakespeare as Shakespeare
from passus.datasets.spiral import Spiral as Spiral
from passus.datasets.spiral import get_spiral as get_spiral
from passus.datasets.subset import Subset as Subset
from passus.datasets.subset import random_split as random_split
from passus.datasets.ts_files import LabeledSeries as LabeledSeries
from passus.datasets.ts_files import read_ts as read_ts

_exports.export_names(__name__)
_answers.answers_for(__name__, _foreign.DATASETS)
