"""The names that DeZero keeps in ``functions_conv``, from where they live here."""

from passus.functions.nn.convolution import Conv as Conv2d
from passus.functions.nn.convolution import ConvGradW as Conv2DGradW
from passus.functions.nn.convolution import Deconv as Deconv2d
from passus.functions.nn.convolution import conv2d as conv2d
from passus.functions.nn.convolution import deconv2d as deconv2d
from passus.functions.nn.patches import Col2im as Col2im
from passus.functions.nn.patches import Im2col as Im2col
from passus.functions.nn.patches import col2im as col2im
from passus.functions.nn.patches import col2im as col2im_array
from passus.functions.nn.patches import im2col as im2col
from passus.functions.nn.patches import im2col as im2col_array
from passus.functions.nn.pools import AveragePooling as AveragePooling
from passus.functions.nn.pools import AveragePoolingGrad as AveragePooling2DGrad
from passus.functions.nn.pools import PixelsAt as Pooling2DWithIndexes
from passus.functions.nn.pools import Pooling as Pooling
from passus.functions.nn.pools import PoolingGrad as Pooling2DGrad
from passus.functions.nn.pools import average_pooling as average_pooling
from passus.functions.nn.pools import pooling as pooling
from passus.functions.nn.simple import conv2d_simple as conv2d_simple
from passus.functions.nn.simple import pooling_simple as pooling_simple

__all__ = [
    "AveragePooling",
    "AveragePooling2DGrad",
    "Col2im",
    "Conv2DGradW",
    "Conv2d",
    "Deconv2d",
    "Im2col",
    "Pooling",
    "Pooling2DGrad",
    "Pooling2DWithIndexes",
    "average_pooling",
    "col2im",
    "col2im_array",
    "conv2d",
    "conv2d_simple",
    "deconv2d",
    "im2col",
    "im2col_array",
    "pooling",
    "pooling_simple",
]
