"""What a figure is drawn of: results, layers and plain data. Other objects, and what leaves nothing to draw, are refused."""

from collections.abc import Mapping

from brainsnn.equations.checks import is_time
from brainsnn.one_line import brief
from brainsnn.plain_arrays import finite_array, is_number
from brainsnn.results.result_formats import ResultFormats

__all__ = [
    "drawn_array",
    "layer_names",
    "named_results",
    "numbers_by_layer",
    "one_result",
    "only_of_results",
    "positive_time",
]


def one_result(result, about, other=""):
    """
    Return a result that holds something.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    about : str
        Function and argument; the message of an error starts with it.
    other : str, optional
        Plain data that may be given in place of a result, in words.

    Returns
    -------
    result : `~brainsnn.results.result.Result`

    Raises
    ------
    ValueError
        If it is something else, or holds no image or no step.
    """
    if not isinstance(result, ResultFormats):
        known = f", or {other}" if other else ""
        raise ValueError(f"{about}={brief(result)} must be a Result, as snn.run(images, duration) returns it{known}.")
    if not (result.n_images and result.n_steps):
        raise ValueError(
            f"{about} holds {result.n_images} images of {result.n_steps} steps; give the result of a run of one image or more."
        )
    return result


def named_results(results, about, alone="", plain=None):
    """
    Return one or several results by their names.

    Parameters
    ----------
    results : `~brainsnn.results.result.Result` or dict of str to Result
    about : str
        Function and argument; the message of an error starts with it.
    alone : str, optional
        Name of a result that comes without one.
    plain : callable, optional
        Returns what is drawn of plain data, in place of a result: ``plain(data, about)``. By default such data are refused.

    Returns
    -------
    results : dict of str to `~brainsnn.results.result.Result`

    Raises
    ------
    ValueError
        If it is something else, such as a list, or an empty dict; or if a result holds nothing.
    """
    if isinstance(results, ResultFormats):
        return {alone: one_result(results, about)}
    if plain is not None and not isinstance(results, Mapping):
        return {alone: plain(results, about)}
    if not isinstance(results, Mapping) or not results:
        raise ValueError(
            f"{about}={brief(results)} must be a Result, or a dict of one or more by their names, such as {{'ASN': result}}."
        )
    found = {}
    for name, own in results.items():
        take = one_result if plain is None or isinstance(own, ResultFormats) else plain
        found[str(name)] = take(own, f"{about}[{name!r}]")
    return found


def drawn_array(values, about, axes, nan=False, other="a Result, or ", dim=None, optional=0):
    """
    Return plain data as an array.

    Parameters
    ----------
    values : array_like
    about : str
        Function and argument; the message of an error starts with it.
    axes : tuple of str
        Names of the axes, such as ``("images", "steps")``.
    nan : bool, optional
        Whether NaN is allowed.
    other : str, optional
        What else may be given, or what the array holds, in words before it.
    dim : `~brian2.units.fundamentalunits.Dimension`, optional
        Dimension that the values may have.
    optional : int, optional
        So many of the last axes may be missing.

    Returns
    -------
    array : ndarray of float

    Raises
    ------
    ValueError
        If it is something else, or has other axes, no value, or one that is not finite.
    """
    shapes = [f"({', '.join(axes[:n])}{',' * (n == 1)})" for n in range(len(axes) - optional, len(axes) + 1)]
    expected = f"{other}an array of numbers {' or '.join(shapes)}"
    if not isinstance(values, (list, tuple)) and not hasattr(values, "__array__"):
        raise ValueError(f"{about}={brief(values)} must be {expected}.")
    try:
        array = finite_array(values, about, nan, dim)
    except ValueError as error:
        raise ValueError(f"{error} Expected {expected}.") from None
    if not len(axes) - optional <= array.ndim <= len(axes):
        raise ValueError(f"{about} of shape {array.shape}; expected {expected}.")
    return array


def only_of_results(about, argument, data, **chosen):
    """
    Refuse arguments that choose from a result, beside plain data.

    Parameters
    ----------
    about : str
        The function; the message of an error starts with it.
    argument : str
    data : object
        The plain data, and the argument that they are given as.
    **chosen : (object, object)
        What is given for each argument, and its default.

    Raises
    ------
    ValueError
        If another value than the default is given.
    """
    for name, (value, default) in chosen.items():
        if value is not default and not (is_number(value) and value == default):
            raise ValueError(
                f"{about}: {name}={brief(value)} chooses from a Result, and {argument}={brief(data)} is plain data; leave "
                f"{name} out, or give a Result."
            )


def numbers_by_layer(values, about, what, dim=None):
    """
    Return a number for each image by layer, such as firing rates.

    Parameters
    ----------
    values : dict of str to (n_images,) array_like
    about : str
        Function and argument; the message of an error starts with it.
    what : str
        What the numbers are.
    dim : `~brian2.units.fundamentalunits.Dimension`, optional
        Dimension that they may have.

    Returns
    -------
    numbers : dict of str to (n_images,) ndarray
        In SI units.

    Raises
    ------
    ValueError
        If they are something else, below 0, or not of the same number of images.
    """
    found = {}
    for name, own in values.items():
        this = f"{about}[{name!r}]"
        own = found[str(name)] = drawn_array(own, this, ("images",), other=f"{what}, ", dim=dim)
        if own.min() < 0:
            raise ValueError(f"{this} has values from {own.min():g}; {what} are 0 or greater.")
        first = next(iter(found))
        if len(own) != len(found[first]):
            raise ValueError(
                f"{this} holds {len(own)} images, and {first!r} {len(found[first])}; give {what} of the same images."
            )
    return found


def positive_time(value, about, example):
    """
    Return a time as a number of seconds.

    Parameters
    ----------
    value : float or `~brian2.units.fundamentalunits.Quantity`
        A plain number is in seconds.
    about : str
        Function and argument; the message of an error starts with it.
    example : str

    Returns
    -------
    time : float

    Raises
    ------
    ValueError
        If it is something else, or not above 0.
    """
    if not (is_time(value) or is_number(value, above=0)):
        raise ValueError(
            f"{about}={value!r} must be a time above 0, such as {example} (a plain number is in seconds); plain "
            "data come without one."
        )
    return float(value)


def layer_names(layers, known, about):
    """
    Return the names of layers that a user gives.

    Parameters
    ----------
    layers : str or iterable of str or None
        One, several, or None for all that are known.
    known : iterable of str
    about : str
        Function and argument; the message of an error starts with it.

    Returns
    -------
    names : list of str

    Raises
    ------
    ValueError
        If it is something else, or names no layer.
    """
    if layers is None:
        return list(known)
    try:
        names = [layers] if isinstance(layers, str) else list(layers)
    except TypeError:
        names = [None]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{about}={brief(layers)} must be the name of a layer or a list of names, or None for all.")
    if not names:
        raise ValueError(f"{about}={brief(layers)} names no layer; give one or more, or None for all.")
    return [str(name) for name in names]
