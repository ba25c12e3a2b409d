"""Layers: ``import passus.layers as L``.

Input sizes are inferred on the first call, so output sizes come first: ``L.Linear(16)``, ``L.Conv2d(16, 3)``. Images
are (N, C, H, W). Layers compute in the dtype of their parameters, float32 by default, and warn once of inputs with
another dtype.
"""

from passus import answers as _answers
from passus import exports as _exports
from passus import foreign as _foreign
from passus.layers.activations import CELU as CELU
from passus.layers.activations import ELU as ELU
from passus.layers.activations import GELU as GELU
from passus.layers.activations import GLU as GLU
from passus.layers.activations import SELU as SELU
from passus.layers.activations import Flatten as Flatten
from passus.layers.activations import HardSigmoid as HardSigmoid
from passus.layers.activations import HardSwish as HardSwish
from passus.layers.activations import LeakyReLU as LeakyReLU
from passus.layers.activations import LogSoftmax as LogSoftmax
from passus.layers.activations import Mish as Mish
from passus.layers.activations import PReLU as PReLU
from passus.layers.activations import ReLU as ReLU
from passus.layers.activations import ReLU6 as ReLU6
from passus.layers.activations import Sigmoid as Sigmoid
from passus.layers.activations import SiLU as SiLU
from passus.layers.activations import Softmax as Softmax
from passus.layers.activations import Softplus as Softplus
from passus.layers.activations import Softsign as Softsign
from passus.layers.activations import Tanh as Tanh
from passus.layers.attention import MultiHeadAttention as MultiHeadAttention
from passus.layers.base import Layer as Layer
from passus.layers.batch_normalization import BatchNorm as BatchNorm
from passus.layers.cache import KeyValueCache as KeyValueCache
from passus.layers.cells import GRUCell as GRUCell
from passus.layers.cells import LSTMCell as LSTMCell
from passus.layers.cells import RNNCell as RNNCell
from passus.layers.convolution import Conv1d as Conv1d
from passus.layers.convolution import Conv2d as Conv2d
from passus.layers.convolution import Conv3d as Conv3d
from passus.layers.convolution import Deconv1d as Deconv1d
from passus.layers.convolution import Deconv2d as Deconv2d
from passus.layers.convolution import Deconv3d as Deconv3d
from passus.layers.dropout import Dropout as Dropout
from passus.layers.dropout import Dropout2d as Dropout2d
from passus.layers.dropout import StochasticDepth as StochasticDepth
from passus.layers.embedding import Embedding as Embedding
from passus.layers.embedding import EmbedID as EmbedID
from passus.layers.feed_forward import FeedForward as FeedForward
from passus.layers.feed_forward import SwiGLU as SwiGLU
from passus.layers.lazy import LazyParameter as LazyParameter
from passus.layers.linear import Linear as Linear
from passus.layers.normalization import GroupNorm as GroupNorm
from passus.layers.normalization import InstanceNorm as InstanceNorm
from passus.layers.normalization import LayerNorm as LayerNorm
from passus.layers.normalization import LocalResponseNorm as LocalResponseNorm
from passus.layers.normalization import RMSNorm as RMSNorm
from passus.layers.pooling import AdaptiveAveragePooling as AdaptiveAveragePooling
from passus.layers.pooling import AdaptiveMaxPooling as AdaptiveMaxPooling
from passus.layers.pooling import AveragePooling as AveragePooling
from passus.layers.pooling import GlobalAveragePooling as GlobalAveragePooling
from passus.layers.pooling import GlobalMaxPooling as GlobalMaxPooling
from passus.layers.pooling import MaxPooling as MaxPooling
from passus.layers.pooling import MaxUnpooling as MaxUnpooling
from passus.layers.positions import PositionEmbedding as PositionEmbedding
from passus.layers.positions import SinusoidalPositions as SinusoidalPositions
from passus.layers.recurrent import GRU as GRU
from passus.layers.recurrent import LSTM as LSTM
from passus.layers.recurrent import RNN as RNN
from passus.layers.resizing import PixelShuffle as PixelShuffle
from passus.layers.resizing import PixelUnshuffle as PixelUnshuffle
from passus.layers.resizing import Upsample as Upsample
from passus.layers.sequential import Sequential as Sequential
from passus.layers.transformer import DecoderCache as DecoderCache
from passus.layers.transformer import TransformerDecoderLayer as TransformerDecoderLayer
from passus.layers.transformer import TransformerEncoderLayer as TransformerEncoderLayer
from passus.layers.transformer_stacks import TransformerDecoder as TransformerDecoder
from passus.layers.transformer_stacks import TransformerEncoder as TransformerEncoder

_exports.export_names(__name__)
_answers.answers_for(__name__, _foreign.LAYERS)
