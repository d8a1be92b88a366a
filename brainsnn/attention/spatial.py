"""Attention to a location, as one call."""

from brian2 import Quantity
from numpy.typing import ArrayLike

from brainsnn.attention.gaussian import GaussianField, Width
from brainsnn.attention.mechanisms import FLOOR, Attention, Strength

__all__ = ["SpatialAttention"]


class SpatialAttention(Attention):
    """
    Attention to a location, with a Gaussian field.

    Parameters
    ----------
    center : (row, column) or (n_images, 2) array_like
        The cue in fractions of the image, one for all images or one per image.
    width : float or (row, column), or dict of layer name to these, optional
        Standard deviation of the Gaussian field in fractions of the image, at most 2. None for an axis makes it uniform along
        that axis. `~brainsnn.attention.residual_layers.pixel_widths` makes the published dict.
    input_gain, output_gain, precision : float or dict, optional
        Strength of each mechanism, for all layers or by layer name; 0 if it is left out.
    shape : {"oval", "cross"}, optional
    peak, base : float, optional
        Largest and smallest value of an oval field before normalization.
    exponent : float, optional
        Exponent of the product of the two axes.
    onset, offset : `~brian2.units.fundamentalunits.Quantity`, optional
        Times at which attention switches on and off in each trial; see `Attention`.
    floor : float, optional
        Lower bound of ``m_f`` when spike heights are computed.
    conserve_sum : bool, optional
        Whether precision keeps the sum of ``m_f`` also where it clips; see `Attention`.

    Raises
    ------
    ValueError
        If an argument is not valid.

    See Also
    --------
    Attention : attention with any field.
    brainsnn.attention.gaussian.GaussianField : the definition of the field.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34. Reynolds, Heeger (2009), Neuron 61.

    Examples
    --------
    >>> import brainsnn as bs
    >>> snn = bs.convert(bs.load_model("search"), neuron=bs.ASN(m_f=0.45))
    >>> snn.attend(bs.SpatialAttention(center=(0.25, 0.75), width=0.18, output_gain=0.3))
    """

    def __init__(
        self,
        center: ArrayLike,
        width: Width = 0.25,
        input_gain: Strength | None = None,
        output_gain: Strength | None = None,
        precision: Strength | None = None,
        shape: str = "oval",
        peak: float = 2.0,
        base: float = 1.0,
        exponent: float = 1.0,
        *,
        onset: Quantity | None = None,
        offset: Quantity | None = None,
        floor: float = FLOOR,
        conserve_sum: bool = False,
    ) -> None:
        super().__init__(
            GaussianField(center, width, shape, peak, base, exponent),
            input_gain=input_gain,
            output_gain=output_gain,
            precision=precision,
            onset=onset,
            offset=offset,
            floor=floor,
            conserve_sum=conserve_sum,
        )
