"""``python -m simattack`` is the console script ``simattack``."""

from simattack.cli import main

if __name__ == "__main__":
    main()
