"""Exceptions whose messages name the object, the value and the fix; docs/troubleshooting.md leads to a page of all messages."""

import difflib
import sys
import warnings
from collections.abc import Iterable
from types import FrameType

__all__ = [
    "BoundedNeuronsWarning", "ConversionError", "DeviceLimitError", "PixelRangeWarning", "SaturationWarning",
    "SilentNeuronsWarning", "SpikeHeightWarning", "SummedReadoutWarning", "UncalibratedWarning", "UnknownNameError", "warn",
]  # fmt: skip

#: Packages that call brainsnn on behalf of the user: a warning is about the line that called them.
_BETWEEN = {"brainsnn", "brian2", "contextlib", "functools", "keras", "tensorflow"}


class ConversionError(ValueError):
    """
    Error for a model, or a layer of it, that cannot be converted to a spiking network.

    Parameters
    ----------
    message : str
        What is wrong, with the values.
    layer : object, optional
        The Keras layer (or another object with a ``name``) that caused the error. The message starts with its name and class,
        or, of the node of an ONNX file, with its name and operator (``op_type``).
    fix : str, optional
        What the user can do. The message ends with it.

    Attributes
    ----------
    layer_name, layer_class : str or None
        Name and class (or operator) of the layer.

    Notes
    -----
    All messages are on the page :doc:`/messages`, each at an address of its own.

    Examples
    --------
    >>> import brainsnn as bs
    >>> try:
    ...     bs.convert(bs.load_model("digits"), neuron=bs.IF(), readouts={"v": bs.Readout("conv1", kind="potential")})
    ... except bs.ConversionError as error:
    ...     print(str(error)[:40])
    'v': IF.membrane: the model names no mem
    """

    def __init__(self, message: str, layer: object = None, fix: str | None = None) -> None:
        self.layer_name = getattr(layer, "name", None)
        operator = getattr(layer, "op_type", None)
        self.layer_class = operator or (None if layer is None else type(layer).__name__)
        kind = "Layer" if operator is None else "Node"
        prefix = "" if layer is None else f"{kind} '{self.layer_name}' ({self.layer_class}): "
        super().__init__(prefix + message + ("" if fix is None else f" {fix}"))


class UnknownNameError(KeyError):
    """
    Error for an unknown name; suggests the most similar known name.

    Parameters
    ----------
    name : str
        The unknown name.
    known : iterable of str
        Known names, which the message lists.
    kind : str, optional
        The kind of object that was looked up, such as ``"population"``.
    note : str, optional
        A sentence to add.
    also : iterable of str, optional
        Other valid names, such as aliases. They are suggested but not listed.

    Notes
    -----
    This is a `KeyError`, so mappings behave as usual, but it prints as a sentence instead of a quoted key. All messages are on
    the page :doc:`/messages`, each at an address of its own.

    Examples
    --------
    >>> import brainsnn as bs
    >>> try:
    ...     bs.read_keras(bs.load_model("digits")).population("conv3")
    ... except bs.UnknownNameError as error:
    ...     print(str(error)[:59])
    There is no population named 'conv3'. Did you mean 'conv2'?
    """

    def __init__(
        self,
        name: object,
        known: Iterable[object],
        kind: str = "name",
        note: str | None = None,
        also: Iterable[str] = (),
    ) -> None:
        names = [str(k) for k in known]
        nearest = difflib.get_close_matches(str(name), [*names, *also], n=1, cutoff=0.5)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        shown = ", ".join(k if len(k) <= 80 else f"{k[:80]}..." for k in names[:20]) + (
            ", ..." if len(names) > 20 else ""
        )
        note = f" {note}" if note else ""
        self.message = f"There is no {kind} named {name!r}.{hint}{note} Known: {shown or 'none'}."
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class DeviceLimitError(ValueError):
    """
    A device cannot do what is asked for; the message says what to use instead.

    Examples
    --------
    >>> import brainsnn as bs
    >>> snn = bs.convert(bs.load_model("digits"), device="cpp_standalone")
    >>> snn.network.run(10 * bs.ms)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    brainsnn.errors.DeviceLimitError: network.run: device='cpp_standalone' runs a compiled program, ...
    """


class SaturationWarning(UserWarning):
    """
    Neurons of a layer spike in nearly every step and cannot express larger activations.

    Examples
    --------
    >>> import warnings
    >>> import brainsnn as bs
    >>> with warnings.catch_warnings():  # the neurons may spike in every step: no warning
    ...     warnings.simplefilter("ignore", bs.SaturationWarning)
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)


class UncalibratedWarning(UserWarning):
    """
    A network with ReLU layers was converted without a calibration of its activations.

    Examples
    --------
    >>> import warnings
    >>> import brainsnn as bs
    >>> with warnings.catch_warnings():  # doctest: +ELLIPSIS
    ...     warnings.simplefilter("error", bs.UncalibratedWarning)
    ...     bs.convert(bs.load_model("digits_relu"))
    Traceback (most recent call last):
    brainsnn.errors.UncalibratedWarning: convert: the ReLU layers ...
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)


class BoundedNeuronsWarning(UncalibratedWarning):
    """
    A layer was trained to larger activations than the neurons that were chosen for it can express.

    Examples
    --------
    >>> import warnings
    >>> import brainsnn as bs
    >>> from brainsnn.errors import BoundedNeuronsWarning
    >>> with warnings.catch_warnings():  # doctest: +ELLIPSIS
    ...     warnings.simplefilter("error", BoundedNeuronsWarning)
    ...     bs.convert(bs.load_model("digits"), neuron=bs.IF())
    Traceback (most recent call last):
    brainsnn.errors.BoundedNeuronsWarning: convert: 'encoding_asn' was trained with ...
    """


class SilentNeuronsWarning(UncalibratedWarning):
    """
    Neurons have a threshold that most of the activations of their layer do not reach.

    Examples
    --------
    >>> import warnings
    >>> import brainsnn as bs
    >>> from brainsnn.errors import SilentNeuronsWarning
    >>> with warnings.catch_warnings():  # doctest: +ELLIPSIS
    ...     warnings.simplefilter("error", SilentNeuronsWarning)
    ...     bs.convert(bs.load_model("digits"), neuron=bs.LIF())
    Traceback (most recent call last):
    brainsnn.errors.SilentNeuronsWarning: convert: the neurons of 'encoding_asn' (LIF) are silent ...
    """


class SpikeHeightWarning(UncalibratedWarning):
    """
    It is not known with which height spikes carry the same activation to other neurons.

    Examples
    --------
    >>> import warnings
    >>> import brainsnn as bs
    >>> from brainsnn.errors import SpikeHeightWarning
    >>> own = bs.ASN().replace("dI/dt = -I/tau_beta : 1", "dI/dt = -I/tau_beta - I**3/tau_beta : 1")
    >>> with warnings.catch_warnings():  # doctest: +ELLIPSIS
    ...     warnings.simplefilter("error", SpikeHeightWarning)
    ...     bs.convert(bs.load_model("digits"), neuron={"conv1": own, ...: bs.ASN()})
    Traceback (most recent call last):
    brainsnn.errors.SpikeHeightWarning: convert: the spikes of 'encoding_asn' (ASN) reach ...
    """


class SummedReadoutWarning(UncalibratedWarning):
    """
    A readout adds up its input, and its activation has bounds.

    Examples
    --------
    >>> import warnings
    >>> import brainsnn as bs
    >>> from brainsnn.errors import SummedReadoutWarning
    >>> with warnings.catch_warnings():  # doctest: +ELLIPSIS
    ...     warnings.simplefilter("error", SummedReadoutWarning)
    ...     bs.convert(bs.load_model("search"), neuron={"readout": bs.IF(), ...: bs.ASN()})
    Traceback (most recent call last):
    brainsnn.errors.SummedReadoutWarning: convert: the readout 'readout' (IF readout) adds up ...
    """


class PixelRangeWarning(UserWarning):
    """
    Images do not have the range of those on which networks are usually trained.

    Examples
    --------
    >>> import warnings
    >>> import brainsnn as bs
    >>> from brainsnn.errors import PixelRangeWarning
    >>> from brainsnn.stimuli import load_digits
    >>> with warnings.catch_warnings():  # doctest: +ELLIPSIS
    ...     warnings.simplefilter("error", PixelRangeWarning)
    ...     bs.convert(bs.load_model("digits")).run(254.5 * load_digits("test")[0][:1])
    Traceback (most recent call last):
    brainsnn.errors.PixelRangeWarning: run: images from 0 to 254.5: ...
    """


def warn(problem: str, category: type[Warning] = UserWarning, fix: str | None = None) -> None:
    """
    Warn of the line of the user's program that led here, whatever functions lie between.

    Parameters
    ----------
    problem : str
        What is wrong, with the values.
    category : type, optional
        Class of the warning.
    fix : str, optional
        What the user can do, in Python. The message ends with it. The warning has ``problem`` and ``fix`` as attributes, so that
        the command line can name its own options instead.

    Examples
    --------
    >>> import warnings
    >>> from brainsnn.errors import PixelRangeWarning, warn
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warn("Images up to 255.", PixelRangeWarning, fix="Divide them by 255.")
    >>> print(caught[0].message)
    Images up to 255. Divide them by 255.
    """
    warning = category(problem if fix is None else f"{problem} {fix}")
    warning.problem, warning.fix = problem, fix  # type: ignore[attr-defined]
    level, frame = 2, sys._getframe(1)
    while _is_between(frame) and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    warnings.warn(warning, stacklevel=level)


def _is_between(frame: FrameType) -> bool:
    """Whether a frame is of a package that calls brainsnn on behalf of the user. Scripts are named ``__main__``."""
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN
