"""From images to the input of a network: checks, and the constant currents that an image drives."""

import numpy as np

__all__ = ["drives_of", "image_range_check"]


def image_range_check(graph, images, encoder):
    """
    Check a batch of images.

    Parameters
    ----------
    graph : `~brainsnn.builders.layer_graph.LayerGraph`
    images : (n, H, W, C) array_like
    encoder : {"current", "poisson"}

    Returns
    -------
    images : (n, H, W, C) ndarray of float

    Raises
    ------
    ValueError
        If shape, type or range are wrong.
    """
    images, shape = np.asarray(images), graph.input.shape
    expected = f"(n, {', '.join(map(str, shape))})"
    if images.ndim != 4 or images.shape[1:] != shape:
        fix = " Add the axis of the images with images[None]." if images.shape == shape else ""
        raise ValueError(f"run: images of shape {images.shape}; the network takes {expected}.{fix}")
    if len(images) == 0:
        raise ValueError("run: the batch holds no image.")
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            f"run: images of type {images.dtype}; give them as floats in the range on which the network was trained, for 8-bit "
            "images usually images/255."
        )
    if not np.isfinite(images).all():
        raise ValueError("run: the images hold NaN or infinite values.")
    largest = np.abs(images).max()
    rescales = any(row.class_name == "Rescaling" for row in graph.rows)
    if encoder == "poisson" and largest > 1:
        raise ValueError(f"run: a pixel of {largest:g} is no probability to spike; scale the images to -1 ... 1.")
    if largest > 2 and not rescales and np.array_equal(images, np.rint(images)):
        raise ValueError(f"run: images look like 8-bit values (up to {largest:g}); networks take images/255.")
    return images


def drives_of(graph, inputs, groups, encoder):
    """
    How an image becomes the constant current of each population that it reaches linearly.

    Parameters
    ----------
    graph : `~brainsnn.builders.layer_graph.LayerGraph`
    inputs : dict of str to `~brainsnn.builders.populations.Inputs`
    groups : dict
        Populations that exist in the network.
    encoder : {"current", "poisson"}

    Returns
    -------
    drives : dict of str to callable
        Population -> function of an (H, W, C) image that gives the (n_neurons,) current.
    """
    if encoder == "poisson":
        return {graph.input.name: np.ravel}

    def drive(name):
        def current(image):
            total = np.zeros(graph.populations[name].size)
            for projection in graph.incoming(name):
                source = graph.populations[projection.source]
                if source.kind == "input":
                    total += projection.operator.apply(image[None]).ravel()
                elif projection.mode == "current":
                    total += projection.operator.apply(drive(projection.source)(image)[None]).ravel()
            return total

        return current

    return {
        name: drive(name)
        for name, found in inputs.items()
        if found.stimulus and name in groups and _has_own(graph, name)
    }


def _has_own(graph, name):
    """Junctions hold only what passed a synapse; their readers get the image's share directly."""
    return graph.populations[name].kind != "junction"
