"""The weights of a network that learn: reading and setting them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from brainsnn.builders.network_view import NetworkView
from brainsnn.builders.run_guard import RunGuard, guarded
from brainsnn.errors import UnknownNameError
from brainsnn.plain_arrays import plain_array

__all__ = ["LearnedWeights"]


class LearnedWeights(NetworkView):
    """The part of a `~brainsnn.builders.spiking_network.SpikingNetwork` that reads and sets weights that learn."""

    _guard: RunGuard

    @property
    def _plastic(self):
        return {projection.name: projection for projection in self.projections if getattr(projection, "plastic", False)}

    @property
    def learned_weights(self) -> dict[str, np.ndarray]:
        """
        Current weights of the projections that learn.

        Returns
        -------
        weights : dict of str to (n_connections,) ndarray
            By name of the projection, in the order of its ``to_coo()``. Save them with ``numpy.savez(path, **weights)``.
        """
        return {name: self._backend.get_values(projection, "w") for name, projection in self._plastic.items()}

    @guarded
    def set_learned_weights(self, weights: Mapping[str, ArrayLike]) -> None:
        """
        Set the weights of projections that learn, on every device without compiling.

        Parameters
        ----------
        weights : dict of str to (n_connections,) array_like
            By name of the projection, as `learned_weights` returns them.

        Raises
        ------
        UnknownNameError
            If no such projection learns.
        ValueError
            If the weights are not a dict, have a wrong size or are not finite.

        Examples
        --------
        >>> import brainsnn as bs
        >>> gate = bs.PredictiveGate(learning=bs.LocalLearning())
        >>> snn = bs.convert(bs.load_model("digits_feedback_if"), neuron=bs.IF(), feedback=gate)
        >>> snn.set_learned_weights({name: 0.9 * w for name, w in snn.learned_weights.items()})
        """
        if not isinstance(weights, Mapping):
            raise ValueError(
                f"set_learned_weights: weights must be a dict, as learned_weights returns it, got {weights!r:.100}."
            )
        for name, values in weights.items():
            if name not in self._plastic:
                raise UnknownNameError(name, self._plastic, "projection that learns")
            values = plain_array(values, f"set_learned_weights: {name!r}", float)
            n = len(self._plastic[name].to_coo()[2])
            if values.shape != (n,) or not np.isfinite(values).all():
                raise ValueError(f"set_learned_weights: {name!r} needs {n} finite weights, got shape {values.shape}.")
        for name, values in weights.items():
            self._backend.set_values(self._plastic[name], "w", np.asarray(values, dtype=float))
