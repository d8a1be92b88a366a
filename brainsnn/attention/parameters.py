"""The parameter arrays that attention has changed, and what they were before."""

from collections import namedtuple

import numpy as np

__all__ = ["AttendedParameters"]

#: Endings of the two variables of a parameter that switches between them during a trial.
REST, ATTENDED = "_rest", "_attended"

#: What attention needs to know of a neuron model.
AttentionTargets = namedtuple("AttentionTargets", "name attention derived")


class AttendedParameters:
    """
    Writes attention into the parameter arrays of a network, and takes it back.

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
        ``read(population, parameter)`` returns the array.
    write : callable
        ``write(population, parameter, array)`` sets the array.
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
        Change the parameters for a new attention, starting from the values that the user gave them.

        Parameters
        ----------
        attention : `~brainsnn.attention.mechanisms.Attention` or None
            With the names of populations in place of those of layers (``attention.for_layers``).
        names : list of str
            Populations to change.
        """
        before = self._unattended()
        changes = {} if attention is None else {name: self._changes(attention, name, before) for name in names}
        # Nothing has been written so far: an attention that is refused leaves the network as it was.
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
        Leave a parameter that the user has set by hand as it is.

        Parameters
        ----------
        name, variable : str
        """
        self._before.pop((name, variable), None)
        self._written.pop((name, variable), None)

    def per_trial(self, n_trials):
        """
        Arrays that differ from image to image.

        Parameters
        ----------
        n_trials : int

        Returns
        -------
        per_trial : dict of (str, str) to callable
            (population, variable) -> function of the image's index that gives the array, computed when it is called.

        Raises
        ------
        ValueError
            If attention is for another number of images.
        """
        functions = {}
        for name, attention in self._per_image.items():
            if attention.n_images != n_trials:
                raise ValueError(f"run: {n_trials} images, but attention has cues for {attention.n_images}.")
            last = {}  # the variables of one image are asked for one after the other

            def arrays(k, name=name, attention=attention, last=last):
                if k not in last:
                    last.clear()
                    last[k] = self._changes(attention, name, self._before, k)
                return last[k]

            for changed, variable in self._before:
                if changed == name:
                    functions[name, variable] = lambda k, arrays=arrays, variable=variable: arrays(k)[variable]
        return functions

    def _unattended(self):
        """Values before attention of what attention has changed, but for what the user has changed since."""
        return {
            key: values
            for key, values in self._before.items()
            if key[0] in self._per_image or np.array_equal(self._read(*key), self._written[key])
        }

    def _changes(self, attention, name, before, image=0):
        """Variable -> array, for one population and one image."""
        model, parameters = self._models[name], self._parameters[name]
        derived = {n.removesuffix(REST): (o.removesuffix(REST), function) for n, (o, function) in model.derived.items()}
        names = {*model.attention.values(), *derived}
        switches = {n for n in names if n + ATTENDED in parameters}
        if attention.is_timed and attention.mechanisms(name) and not switches:
            raise ValueError(
                f"attend: attention cannot switch on and off in {name!r}; convert with neuron=switchable({model.name}(...)), see "
                "brainsnn.attention.switchable."
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
        # All of them, so that what the last attention left in another one is gone.
        arrays = {n + ATTENDED: changed.get(n, values[n]) for n in sorted(switches)}
        # Half a step early, because times are compared with t after rounding.
        on, off = (t - self._dt / 2 for t in attention.times(image))
        return {**arrays, "t_attend_on": np.array([on]), "t_attend_off": np.array([off])}
