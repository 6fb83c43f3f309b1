"""``python -m smartmem``: the same as ``smartmem``."""

from smartmem.tools.cli import main

if __name__ == "__main__":
    main()
