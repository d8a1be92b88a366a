"""Attention mechanisms: input gain, output gain and precision, as changes of neuron parameters."""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

import numpy as np
from brian2 import Quantity, ms, second
from numpy.typing import ArrayLike

from brainsnn.attention.fields import Field, Shape
from brainsnn.attention.layer_names import by_population
from brainsnn.equations.model import NeuronModel
from brainsnn.one_line import shortened
from brainsnn.plain_arrays import is_number

__all__ = ["Attention", "FLOOR", "MECHANISMS", "Strength"]

MECHANISMS = ("input_gain", "output_gain", "precision")
#: Lower bound of m_f when spike heights are computed.
FLOOR = 1e-3
#: Strength of a mechanism in all layers, or by the name of the layer.
Strength = float | Mapping[str, float]


class Attention:
    """
    Attention with any field: changes neuron parameters in proportion to the field's modulation R.

    With the strength a of each mechanism, a neuron's parameters become:

    - input gain: ``gain = gain*(1 + a*R)``
    - output gain (connection gain): ``h = h(m_f)*(1 + a*R)``
    - precision: ``m_f = m_f - a*R``, then scaled so that the sum over the layer is unchanged, then clipped below at 0.
      ``h`` is computed from each neuron's new ``m_f``. This is the published order: where it clips, the sum grows. With
      ``conserve_sum=True``, ``m_f`` is clipped first and then scaled, which keeps the sum.

    If maximum pooling or membrane average pooling precedes a population, all three mechanisms act after the pooling, at the
    pooled size.

    Parameters
    ----------
    field : `~brainsnn.attention.fields.Field`
        Distribution of attention over a layer.
    input_gain, output_gain, precision : float or dict, optional
        Strength a of each mechanism, for all layers or by layer name, 0 if it is left out. Layers that a dict does not name have
        strength 0.
    onset, offset : `~brian2.units.fundamentalunits.Quantity`, optional
        Times at which attention switches on and off in each trial, one time or one per image. By default attention lasts
        the whole trial. Needs a neuron model made by `~brainsnn.attention.timing.switchable`.
    floor : float, optional
        Lower bound of ``m_f`` when spike heights are computed, since ``m_f`` = 0 has no finite spike height.
    conserve_sum : bool, optional
        Whether precision keeps the sum of ``m_f`` over a layer also where it clips. Without clipping both orders are the same.

    Raises
    ------
    ValueError
        If an argument is not valid, or ``floor`` or ``conserve_sum`` is given without precision.

    See Also
    --------
    SpatialAttention
    brainsnn.builders.spiking_network.SpikingNetwork.attend

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> import brainsnn as bs
    >>> field = bs.GaussianField((0.3, 0.6), 0.2) * bs.FeatureField([1, 0, 0, 0])  # one channel, at a place
    >>> attention = bs.Attention(field, output_gain={"conv1": 0.3, "conv2": 0.1})
    >>> sorted(attention.layers)
    ['conv1', 'conv2']
    """

    def __init__(
        self,
        field: Field,
        *,
        input_gain: Strength | None = None,
        output_gain: Strength | None = None,
        precision: Strength | None = None,
        onset: Quantity | None = None,
        offset: Quantity | None = None,
        floor: float = FLOOR,
        conserve_sum: bool = False,
    ) -> None:
        if not isinstance(field, Field):
            raise ValueError(
                f"Attention.field: expected a Field such as GaussianField or ArrayField, got {type(field).__name__}."
            )
        self.field = field
        given = {"input_gain": input_gain, "output_gain": output_gain, "precision": precision}
        #: Whether a strength was given, 0 included.
        self.has_strength = any(strength is not None for strength in given.values())
        self.strengths = {mechanism: 0.0 if strength is None else strength for mechanism, strength in given.items()}
        for mechanism, strength in self.strengths.items():
            values = strength.values() if isinstance(strength, Mapping) else [strength]
            if not all(is_number(a) for a in values):
                raise ValueError(f"Attention.{mechanism}: strength must be a finite number, got {strength!r}.")
        if not is_number(floor, above=0):
            raise ValueError(f"Attention.floor: must be > 0, since m_f = 0 has no finite spike height, got {floor!r}.")
        if not isinstance(conserve_sum, bool | np.bool_):
            raise ValueError(f"Attention.conserve_sum: must be True or False, got {conserve_sum!r}.")
        shift = self.strengths["precision"]
        for name, is_given in (("conserve_sum", conserve_sum), ("floor", floor != FLOOR)):
            if is_given and not (any(shift.values()) if isinstance(shift, Mapping) else shift):
                raise ValueError(f"Attention.{name}: has no effect without precision; give precision=... as well.")
        self.floor, self.conserve_sum = float(floor), bool(conserve_sum)
        self.onset, self.offset = _time("onset", onset), _time("offset", offset)
        if self.onset is not None and self.offset is not None and np.any(self.offset < self.onset):
            raise ValueError(
                f"Attention: offset={offset} is before onset={onset}, so attention would never be on. Give a later offset."
            )
        numbers = {len(t) for t in (self.onset, self.offset) if t is not None and t.ndim}
        numbers |= set() if field.n_images is None else {field.n_images}
        if len(numbers) > 1:
            raise ValueError(
                f"Attention: field, onset and offset must be for the same number of images, got {sorted(numbers)}."
            )
        self.n_images = numbers.pop() if numbers else None

    @property
    def is_timed(self) -> bool:
        """Whether attention switches on or off during a trial (bool)."""
        return self.onset is not None or self.offset is not None

    def strength(self, mechanism: str, layer: str) -> float:
        """
        Return the strength of a mechanism in a layer.

        Parameters
        ----------
        mechanism : {"input_gain", "output_gain", "precision"}
        layer : str

        Returns
        -------
        strength : float

        Examples
        --------
        >>> import brainsnn as bs
        >>> bs.SpatialAttention((0.5, 0.5), 0.2, output_gain={"conv2": 0.3}).strength("output_gain", "conv1")
        0.0
        """
        strength = self.strengths[mechanism]
        return float(strength.get(layer, 0.0) if isinstance(strength, Mapping) else strength)

    @property
    def layers(self) -> set[str]:
        """Layers that a strength other than 0 or the field names (set of str)."""
        strengths = [s for s in self.strengths.values() if isinstance(s, Mapping)]
        return {name for strength in strengths for name, a in strength.items() if a} | self.field.layer_names

    def mechanisms(self, layer: str) -> list[str]:
        """
        Return the mechanisms with a strength other than 0 in a layer.

        Parameters
        ----------
        layer : str

        Returns
        -------
        mechanisms : list of str

        Examples
        --------
        >>> import brainsnn as bs
        >>> bs.SpatialAttention((0.5, 0.5), 0.2, output_gain=0.3).mechanisms("conv2")
        ['output_gain']
        """
        return [mechanism for mechanism in MECHANISMS if self.strength(mechanism, layer)]

    def for_layers(self, name_of: Callable[[str], str]) -> "Attention":
        """
        Return the attention with the names of layers replaced by those of their populations.

        Parameters
        ----------
        name_of : callable
            Maps a layer's name to the name of its population; raises an error for unknown names.

        Returns
        -------
        attention : `Attention`

        Examples
        --------
        >>> import brainsnn as bs
        >>> attention = bs.SpatialAttention((0.5, 0.5), 0.2, output_gain={"block1": 0.3})
        >>> sorted(attention.for_layers({"block1": "block1_relu"}.get).layers)
        ['block1_relu']
        """
        resolved = copy(self)  # of the same class, also one of the user's
        resolved.field = self.field.for_layers(name_of)
        resolved.strengths = {
            mechanism: by_population(strength, name_of, f"Attention.{mechanism}")
            if isinstance(strength, Mapping)
            else strength
            for mechanism, strength in self.strengths.items()
        }
        return resolved

    def parameters_for(
        self, layer: str, shape: Shape, parameters: Mapping[str, np.ndarray], model: NeuronModel, image: int = 0
    ) -> dict[str, np.ndarray]:
        """
        Return the parameters of a population that attention changes.

        Parameters
        ----------
        layer : str
            Name of the population.
        shape : tuple of int
            (H, W, C) of the population.
        parameters : dict of str to ndarray
            Unattended values of the parameters that the model's ``attention`` names and of those derived from them, one value
            or one per neuron; also of others from which these are computed, unless they are constants of the model.
        model : `~brainsnn.equations.model.NeuronModel`
            Its ``attention`` names the parameter of each mechanism, its ``derived`` the parameters computed from others.
        image : int, optional
            Index of the image.

        Returns
        -------
        changed : dict of str to (n_neurons,) ndarray

        Raises
        ------
        ValueError
            If the neuron model names no parameter for one of the mechanisms.

        Examples
        --------
        >>> import brainsnn as bs
        >>> attention = bs.Attention(bs.ArrayField([[3, 1]]), input_gain=0.2)
        >>> attention.parameters_for("conv1", (1, 2, 1), {"gain": 1.0}, bs.ASN(m_f=0.1))
        {'gain': array([1.1, 0.9])}
        """
        active = self.mechanisms(layer)
        for mechanism in active:
            if mechanism not in model.attention:
                raise ValueError(
                    f"attend: the neuron model {model.name!r} of layer {layer!r} has no {mechanism}. Mechanisms of this model: "
                    f"{', '.join(model.attention) or 'none'}."
                )
        if not active:
            return {}
        R = np.broadcast_to(self.field.modulation(shape, image, layer), shape).ravel()
        changed = {}
        if "precision" in active:
            name = model.attention["precision"]
            changed[name] = _shifted(parameters[name], self.strength("precision", layer) * R, self.conserve_sum)
            for derived, (origins, function) in model.derived.items():
                if name in origins:
                    others = {o: parameters[o] if o in parameters else model.parameters[o] for o in origins}
                    changed[derived] = self._rederived(parameters[derived], others, name, function, changed[name])
        for mechanism in ("input_gain", "output_gain"):
            if mechanism in active:
                name = model.attention[mechanism]
                changed[name] = changed.get(name, parameters[name]) * (1 + self.strength(mechanism, layer) * R)
        return changed

    def _rederived(
        self,
        current: np.ndarray,
        origins: Mapping[str, np.ndarray],
        name: str,
        function: Callable[..., Any],
        values: np.ndarray,
    ) -> np.ndarray:
        """Return new values of a derived parameter for new values of ``name``; a factor by which the user scaled it is kept."""

        def height(precision):
            """Return the derived parameter for values of ``name``, at least the floor."""
            return np.asarray(function(*(origins | {name: np.maximum(precision, self.floor)}).values()))

        factor = np.asarray(current, dtype=float) / height(origins[name])
        # float32 values differ from the function's in the last digit. The user did not scale those.
        return height(values) * np.where(np.abs(factor - 1) < 1e-5, 1.0, factor)

    def times(self, image: int = 0) -> tuple[float, float]:
        """
        Return the times at which attention switches on and off.

        Parameters
        ----------
        image : int, optional

        Returns
        -------
        onset, offset : float
            In seconds; 0 and infinity if not given.

        Examples
        --------
        >>> import brainsnn as bs
        >>> bs.SpatialAttention((0.5, 0.5), 0.2, output_gain=0.3, onset=100 * bs.ms).times()
        (0.1, inf)
        """

        def of(times: np.ndarray | None, default: float) -> float:
            """Return the time of this image, or that of all images, in seconds."""
            return default if times is None else float(times if times.ndim == 0 else times[image])

        return of(self.onset, 0.0), of(self.offset, np.inf)

    def __repr__(self) -> str:
        return shortened(str(self))

    def __str__(self) -> str:
        strengths = ", ".join(f"{m}={a}" for m, a in self.strengths.items() if a)
        return f"<{type(self).__name__}: {self.field}, {strengths or 'no strength'}>"


def _shifted(values: ArrayLike, shift: np.ndarray, conserve_sum: bool = False) -> np.ndarray:
    """Subtract a shift, scale to the original sum, and clip below at 0; or clip first and then scale."""
    before = np.broadcast_to(np.asarray(values, dtype=float), shift.shape)
    after = before - shift
    if conserve_sum:
        after = np.maximum(after, 0.0)
    return np.maximum(after * (before.sum() / after.sum()), 0.0)


def _time(name: str, value: Quantity | None) -> np.ndarray | None:
    """Return times in seconds, or None."""
    if value is None:
        return None
    if not isinstance(value, Quantity) or not value.dim == second.dim:
        raise ValueError(f"Attention.{name}: must have a unit of time, such as {name}=100*ms, got {value!r}.")
    times = np.asarray(value / second, dtype=float)
    if times.ndim > 1 or not np.all((times >= 0) & np.isfinite(times)):
        raise ValueError(
            f"Attention.{name}: must be one time or one per image, all finite and none negative, got {value / ms} ms. Leave it "
            "out for attention that lasts the whole trial."
        )
    return times
