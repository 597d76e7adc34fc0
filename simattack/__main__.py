"""``python -m simattack`` is the console script ``simattack``."""

import sys

from simattack.cli import main

if __name__ == "__main__":
    sys.exit(main())
