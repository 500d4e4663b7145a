"""``python -m nnmass``: the command line."""

from nnmass.cli import main

if __name__ == "__main__":
    main()
