"""``python -m passus``: the command line; see `passus.cli`."""

import sys

from passus.cli import main

if __name__ == "__main__":
    sys.exit(main())
