"""Write attention into parameter arrays and restore their previous values."""

from collections import namedtuple

import numpy as np

__all__ = ["AttendedParameters"]

#: Suffixes of the two variables between which a parameter switches during a trial.
REST, ATTENDED = "_rest", "_attended"

#: The fields of a neuron model that attention uses.
AttentionTargets = namedtuple("AttentionTargets", "name attention derived")


class AttendedParameters:
    """
    Writes attention into the parameter arrays of a network, and removes it again.

    Parameters
    ----------
    models : dict of str to `~brainsnn.equations.model.NeuronModel`
        Model of each population.
    shapes : dict of str to tuple of int
        (H, W, C) of each population.
    parameters : dict of str to list of str
        Names of the per-neuron parameters of each population.
    dt : float
        Time step in seconds.
    read : callable
        ``read(population, parameter)`` returns an array.
    write : callable
        ``write(population, parameter, array)`` sets an array.
    """

    def __init__(self, models, shapes, parameters, dt, read, write):
        self._models, self._shapes, self._parameters, self._dt = models, shapes, parameters, dt
        self._read, self._write = read, write
        self.attention = None
        self._before = {}
        self._written = {}
        self._per_image = {}

    def set(self, attention, names):
        """
        Replace the current attention, starting from the values that the user set.

        Parameters
        ----------
        attention : `~brainsnn.attention.mechanisms.Attention` or None
            With the names of populations instead of layers (``attention.for_layers``). None removes attention.
        names : list of str
            Populations to change.
        """
        before = self.unattended()
        changes = {} if attention is None else {name: self._changes(attention, name, before) for name in names}
        # All changes are computed before anything is written, so an invalid attention leaves the network unchanged.
        for (name, variable), values in before.items():
            self._write(name, variable, values)
        self.attention, self._before, self._written, self._per_image = attention, {}, {}, {}
        for name, arrays in changes.items():
            for variable, values in arrays.items():
                self._before[name, variable] = before.get((name, variable), self._read(name, variable))
                self._write(name, variable, values)
                self._written[name, variable] = self._read(name, variable)
            if arrays and attention.n_images is not None:
                self._per_image[name] = attention

    def forget(self, name, variable):
        """
        Keep the value of a parameter that the user has set by hand.

        Parameters
        ----------
        name, variable : str
        """
        self._before.pop((name, variable), None)
        self._written.pop((name, variable), None)

    def per_trial(self, n_trials):
        """
        Return functions that compute the arrays of each image.

        Parameters
        ----------
        n_trials : int

        Returns
        -------
        per_trial : dict of (str, str) to callable
            (population, variable) -> function of the image index that computes the array.

        Raises
        ------
        ValueError
            If the attention is for a different number of images.
        """
        functions = {}
        for name, attention in self._per_image.items():
            if attention.n_images != n_trials:
                raise ValueError(
                    f"run: {n_trials} images, but attention has cues for {attention.n_images}; use one per image."
                )
            last = {}  # all variables of an image are read before those of the next one

            def arrays(k, name=name, attention=attention, last=last):
                if k not in last:
                    last.clear()
                    last[k] = self._changes(attention, name, self._before, k)
                return last[k]

            for changed, variable in self._before:
                if changed == name:
                    functions[name, variable] = lambda k, arrays=arrays, variable=variable: arrays(k)[variable]
        return functions

    def unattended(self):
        """
        Return the values of before attention, except of parameters that the user has changed since.

        Returns
        -------
        values : dict of (str, str) to ndarray
            (population, variable) -> values.
        """
        return {
            key: values
            for key, values in self._before.items()
            if key[0] in self._per_image or np.array_equal(self._read(*key), self._written[key])
        }

    def _changes(self, attention, name, before, image=0):
        """Return variable -> array for one population and one image."""
        model, parameters = self._models[name], self._parameters[name]
        derived = {n.removesuffix(REST): (o.removesuffix(REST), function) for n, (o, function) in model.derived.items()}
        names = {*model.attention.values(), *derived}
        switches = {n for n in names if n + ATTENDED in parameters}
        if attention.is_timed and attention.mechanisms(name) and not switches:
            raise ValueError(
                f"attend: attention cannot switch on and off in {name!r}, since its neuron model has no switchable parameters. "
                f"Convert with neuron=switchable({model.name}(...)); see brainsnn.attention.switchable."
            )
        source = {n: n + REST if n in switches else n for n in names}
        values = {
            n: before[name, s] if (name, s) in before else self._read(name, s)
            for n, s in source.items()
            if s in parameters
        }
        changed = attention.parameters_for(
            name, self._shapes[name], values, AttentionTargets(model.name, model.attention, derived), image
        )
        if not switches or not changed:
            return changed
        # Write all of them, to overwrite values that a previous attention left in the others.
        arrays = {n + ATTENDED: changed.get(n, values[n]) for n in sorted(switches)}
        # Half a step early, so that rounding errors in t do not shift the switch by a step.
        on, off = (t - self._dt / 2 for t in attention.times(image))
        return {**arrays, "t_attend_on": np.array([on]), "t_attend_off": np.array([off])}
