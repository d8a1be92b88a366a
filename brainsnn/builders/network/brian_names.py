"""Names of the Brian2 objects of a network: valid in Brian2 and in C++, short enough for a file, and each used once."""

import re

__all__ = ["GROUP_PARTS", "BrianNames"]

#: Brian2 writes files that have the names of objects with further words. A file system allows 255 bytes.
LENGTH = 120
#: What Brian2 appends for the parts of a group, and we for what it does in every step.
GROUP_PARTS = ("_update", "_stateupdater", "_spike_thresholder", "_spike_resetter", "_subexpression_update")


class BrianNames:
    """
    Choose names, and remember them.

    Layers of Keras may have any names. Two of them may differ only in what a name of Brian2 cannot have (``a.b`` and
    ``a_b``), or one may be what Brian2 calls a part of another (``a`` and ``a_stateupdater``). The first gets the name.

    Parameters
    ----------
    *taken : str
        Names that other objects of the network have.
    """

    def __init__(self, *taken):
        self._taken, self._numbers = set(taken), {}

    def free(self, wanted, *parts):
        """
        Return a name that no object of the network has.

        Parameters
        ----------
        wanted : str
            All but letters, digits and underscores of ASCII becomes an underscore. A long name is cut.
        *parts : str
            What Brian2 appends to it for the parts of the object.

        Returns
        -------
        name : str
        """
        valid = re.sub(r"[^0-9A-Za-z_]", "_", wanted)
        valid = (valid if valid[:1].isalpha() else f"layer_{valid}")[:LENGTH]
        name = valid
        while not self._taken.isdisjoint(all_names := [name, *(f"{name}{part}" for part in parts)]):
            number = self._numbers[valid] = self._numbers.get(valid, 1) + 1
            name = f"{valid}_{number}"
        self._taken.update(all_names)
        return name
