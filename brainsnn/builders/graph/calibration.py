"""How the activations of a graph were normalised."""

from dataclasses import dataclass

__all__ = ["Calibration"]


@dataclass(frozen=True)
class Calibration:
    """
    Settings of a calibration. The scales are those of the populations: `LayerGraph.scales` prints them.

    Parameters
    ----------
    method : {"data", "balance"}
    percentile : float
    per : {"layer", "channel"}
    n_images : int
    encoder : {"current", "poisson"}
        How images enter the calibrated network, unless ``convert`` is told otherwise.
    """

    method: str
    percentile: float
    per: str
    n_images: int
    encoder: str
