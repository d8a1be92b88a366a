"""What a NIR file leaves to each simulator: time step, integration, reset and the test of the threshold."""

from dataclasses import asdict, dataclass, replace

from brainsnn.errors import UnknownNameError
from brainsnn.plain_arrays import is_number

__all__ = ["CONVENTIONS", "Convention", "METADATA", "chosen_convention"]

#: Integration methods -> Brian2's.
METHODS = {"euler": "euler", "exact": "exponential_euler"}
#: What happens to v when a neuron spikes, beside the time of its effect.
RESETS = ("value", "subtract", "subtract_next")
CONDITIONS = (">", ">=")
#: Keys of a file's metadata, which `~brainsnn.builders.to_nir.write_nir` writes.
METADATA = {name: f"brainsnn_{name}" for name in ("dt", "integration", "reset", "condition")}


@dataclass(frozen=True)
class Convention:
    """
    How the equations of NIR become steps.

    Attributes
    ----------
    dt : float
        Time step in seconds. A spike is a pulse of height 1 that lasts one step.
    integration : {"euler", "exact"}
    reset : {"value", "subtract", "subtract_next"}
        At a spike, v becomes ``v_reset``; loses ``v_threshold``; or loses it in the next step, after the leak.
    condition : {">", ">="}
        A neuron spikes when v is above its threshold, or also when it is equal.
    """

    dt: float = 1e-4
    integration: str = "exact"
    reset: str = "value"
    condition: str = ">"

    def __post_init__(self):
        if not is_number(self.dt, above=0):
            raise ValueError(f"dt={self.dt!r} must be a time greater than 0, such as 0.1*ms.")
        for name, known in (("integration", METHODS), ("reset", RESETS), ("condition", CONDITIONS)):
            if getattr(self, name) not in tuple(known):
                raise ValueError(f"{name}={getattr(self, name)!r}; choose one of {', '.join(map(repr, known))}.")

    @property
    def method(self) -> str:
        """Brian2's integration method (str)."""
        return METHODS[self.integration]

    @property
    def metadata(self) -> dict:
        """Entries of a file's metadata that `chosen_convention` understands (dict)."""
        return {METADATA[name]: value for name, value in asdict(self).items()}


#: By the library that wrote a file. Read from the sources of snnTorch 1.0.0, Norse 1.1.0, SpikingJelly 2.0.0 and sinabs 3.1.3.
CONVENTIONS = {
    "nir": Convention(),
    "snntorch": Convention(1e-4, "euler", "subtract_next", ">"),
    "norse": Convention(1e-3, "euler", "value", ">"),
    "spikingjelly": Convention(1e-4, "euler", "value", ">="),
    "sinabs": Convention(1.0, "exact", "subtract", ">="),
}


def chosen_convention(metadata, library, **given):
    """
    Return the convention of a file.

    Parameters
    ----------
    metadata : dict
        Of the file.
    library : str or None
        A key of `CONVENTIONS`. None: what the metadata say, else ``"nir"``.
    **given
        Fields of `Convention`; those that are None are left as they are.

    Returns
    -------
    convention : `Convention`

    Raises
    ------
    UnknownNameError, ValueError
        If a name or a value is not known.
    """
    if library is not None and (not isinstance(library, str) or library not in CONVENTIONS):
        raise UnknownNameError(library, CONVENTIONS, "library whose conventions read_nir knows")
    found = CONVENTIONS[library or "nir"]
    changes = {} if library is not None else {n: metadata[key] for n, key in METADATA.items() if key in metadata}
    changes |= {name: value for name, value in given.items() if value is not None}
    try:
        return replace(found, **changes)
    except ValueError as error:
        raise ValueError(f"read_nir: {error}") from None
