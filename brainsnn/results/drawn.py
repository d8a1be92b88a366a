"""The results and layers that a figure is drawn of: other objects, and results of which nothing can be drawn, are refused."""

from collections.abc import Mapping

from brainsnn.one_line import brief
from brainsnn.results.result_formats import ResultFormats

__all__ = ["layer_names", "named_results", "one_result"]


def one_result(result, about):
    """
    Return a result that holds something.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    about : str
        Function and argument; the message of an error starts with it.

    Returns
    -------
    result : `~brainsnn.results.result.Result`

    Raises
    ------
    ValueError
        If it is something else, or holds no image or no step.
    """
    if not isinstance(result, ResultFormats):
        raise ValueError(f"{about}={brief(result)} must be a Result, as snn.run(images, duration) returns it.")
    if not (result.n_images and result.n_steps):
        raise ValueError(
            f"{about} holds {result.n_images} images of {result.n_steps} steps; give the result of a run of one image or more."
        )
    return result


def named_results(results, about, alone=""):
    """
    Return one or several results by their names.

    Parameters
    ----------
    results : `~brainsnn.results.result.Result` or dict of str to Result
    about : str
        Function and argument; the message of an error starts with it.
    alone : str, optional
        Name of a result that comes without one.

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
    if not isinstance(results, Mapping) or not results:
        raise ValueError(
            f"{about}={brief(results)} must be a Result, or a dict of one or more by their names, such as {{'ASN': result}}."
        )
    return {str(name): one_result(result, f"{about}[{name!r}]") for name, result in results.items()}


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
