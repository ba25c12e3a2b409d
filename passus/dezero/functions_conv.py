"""The names of DeZero's module ``functions_conv``."""

from passus.functions.nn.convolution import Conv as Conv2d
from passus.functions.nn.convolution import ConvGradW as Conv2DGradW
from passus.functions.nn.convolution import Deconv as Deconv2d
from passus.functions.nn.convolution import conv2d, deconv2d
from passus.functions.nn.patches import Col2im, Im2col, col2im, im2col
from passus.functions.nn.patches import col2im as col2im_array
from passus.functions.nn.patches import im2col as im2col_array
from passus.functions.nn.pools import AveragePooling, Pooling, average_pooling, pooling
from passus.functions.nn.pools import AveragePoolingGrad as AveragePooling2DGrad
from passus.functions.nn.pools import PixelsAt as Pooling2DWithIndexes
from passus.functions.nn.pools import PoolingGrad as Pooling2DGrad
from passus.functions.nn.simple import conv2d_simple, pooling_simple
from passus.functions.nn.windows import get_conv_outsize, get_deconv_outsize, pair

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
    "get_conv_outsize",
    "get_deconv_outsize",
    "im2col",
    "im2col_array",
    "pair",
    "pooling",
    "pooling_simple",
]
