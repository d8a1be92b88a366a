"""``python -m brainsnn`` is the command ``brainsnn``."""

from brainsnn.command_line import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
