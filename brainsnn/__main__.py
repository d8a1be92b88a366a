"""``python -m brainsnn`` is the command ``brainsnn``."""

from importlib import import_module

if __name__ == "__main__":
    import_module("brainsnn.command_line").main()
