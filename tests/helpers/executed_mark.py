"""A pickle that shows when somebody opens it."""

import os

__all__ = ["Mark"]


class Mark:
    """Unpickling it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)
