"""Models: complete networks that can be drawn and summarised."""

from passus import answers as _answers
from passus import exports as _exports
from passus import foreign as _foreign
from passus.models.efficientnet import EfficientNetLite0 as EfficientNetLite0
from passus.models.gpt import GPT as GPT
from passus.models.lenet import LeNet as LeNet
from passus.models.mlp import MLP as MLP
from passus.models.mobilenet import MobileNetV2 as MobileNetV2
from passus.models.model import Model as Model
from passus.models.residual import BasicBlock as BasicBlock
from passus.models.residual import BottleneckA as BottleneckA
from passus.models.residual import BottleneckB as BottleneckB
from passus.models.residual import BuildingBlock as BuildingBlock
from passus.models.resnet import ResNet as ResNet
from passus.models.resnet import ResNet18 as ResNet18
from passus.models.resnet import ResNet34 as ResNet34
from passus.models.resnet import ResNet50 as ResNet50
from passus.models.resnet import ResNet101 as ResNet101
from passus.models.resnet import ResNet152 as ResNet152
from passus.models.sentence_encoder import SentenceEncoder as SentenceEncoder
from passus.models.sequential import Sequential as Sequential
from passus.models.silero_vad import SileroVAD as SileroVAD
from passus.models.speech import SpeechSegment as SpeechSegment
from passus.models.speech import speech_segments as speech_segments
from passus.models.squeezenet import SqueezeNet as SqueezeNet
from passus.models.vgg import VGG16 as VGG16

_exports.export_names(__name__)
_answers.answers_for(__name__, _foreign.MODELS)
