"""Mistakes in transforms of images."""

from tests.package.mistakes.entry import error

IMAGES = [
    error(
        "Bytes divided by 255 once more",
        "book",
        "T.Normalize(0.0, 255.0)(T.ToArray()(photo.transpose(2, 0, 1)))",
        r"remove Normalize\(0, 255\)",
    ),
    error(
        "Means of 0 to 1 for bytes",
        "PyTorch",
        "T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])(photo.transpose(2, 0, 1))",
        r"put ToArray\(\) first",
    ),
    error("Colors of 0 to 255", "book", "T.ColorJitter(0.5)(image * 255)", r"divide them by 255"),
    error(
        "Colors after Normalize",
        "everyone",
        "T.ColorJitter(0.5)(T.Normalize(0.5, 0.5)(image))",
        r"put Normalize\(\) after it",
    ),
    error("A fill value of 0 to 255", "book", "T.Cutout(8, fill=127)(image)", "fill=127/255"),
    error("Channels last", "Keras", "T.RandomCrop(28)(photo)", r"x\.transpose\(2, 0, 1\)"),
    error("... mirrored", "Keras", "T.RandomHorizontalFlip(1.0)(photo)", r"x\.transpose\(2, 0, 1\)"),
    error("... into ToArray", "Keras", "T.ToArray()(photo)", r"x\.transpose\(2, 0, 1\)"),
    error("A class in Compose", "everyone", "T.Compose([T.ToArray])", r"write ToArray\(\)"),
    error("An array for an image", "everyone", "T.Resize(8)(photo)", r"put ToPIL\(\) before it"),
]
