"""Write attention into parameter arrays and restore their previous values."""

from collections import namedtuple
from functools import partial

import numpy as np

from brainsnn.errors import warn

__all__ = ["AttendedParameters"]

#: Suffixes of the two variables between which a parameter switches during a trial.
REST, ATTENDED = "_rest", "_attended"

#: The fields of a neuron model that attention uses.
AttentionTargets = namedtuple("AttentionTargets", "name attention derived parameters")


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
        #: Arrays of the image that ran last, which a run in runtime mode leaves in the network.
        self._last = {}
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

        Raises
        ------
        ValueError
            If there is none, or if attention names a population that is not among them.
        """
        if attention is not None:
            _check_names(attention, names)
            _check_steps(attention, self._dt)
            self._warn_of_uniform_fields(attention, names)
        before = self.unattended()
        for name in names if attention is not None else ():
            _check_gains(attention, name, self._shapes[name])
        changes = {} if attention is None else {name: self._changes(attention, name, before) for name in names}
        # All changes are computed before anything is written, so an invalid attention leaves the network unchanged.
        for (name, variable), values in before.items():
            self._write(name, variable, values)
        self.attention, self._before, self._written, self._per_image, self._last = attention, {}, {}, {}, {}
        for name, arrays in changes.items():
            for variable, values in arrays.items():
                self._before[name, variable] = before.get((name, variable), self._read(name, variable))
                self._write(name, variable, values)
                self._written[name, variable] = self._read(name, variable)
            if arrays and attention.n_images is not None:
                self._per_image[name] = attention

    def _warn_of_uniform_fields(self, attention, names):
        """Warn of a field that is the same for all images and equal at all neurons of all layers that it should change."""
        layers = [name for name in names if attention.mechanisms(name)]
        if (
            attention.n_images is None
            and layers
            and not any(np.any(attention.field.modulation(self._shapes[name], layer=name)) for name in layers)
        ):
            warn(
                f"attend: the field is uniform in {', '.join(map(repr, layers))}, so attention changes nothing.",
                fix="Attend to a layer with several places, or give a field that differs between its neurons.",
            )

    def check_end(self, n_steps):
        """
        Check that attention comes on before the end of a trial.

        Parameters
        ----------
        n_steps : int

        Raises
        ------
        ValueError
        """
        onset = None if self.attention is None else self.attention.onset
        if onset is not None and np.max(onset) > n_steps * self._dt - 1e-9:
            raise ValueError(
                f"run: attention comes on at onset={np.max(onset) * 1e3:g} ms, which is not before the end of the trial at "
                f"{n_steps * self._dt * 1e3:g} ms. Attend with an earlier onset, or give a longer duration."
            )

    def state(self):
        """Return what attention is set, and what it has changed, for `restore` (dict)."""
        kept = ("attention", "_before", "_written", "_per_image", "_last")
        return {name: dict(v) if isinstance(v := getattr(self, name), dict) else v for name in kept}

    def restore(self, state):
        """
        Take back an earlier state; the arrays themselves are restored elsewhere.

        Parameters
        ----------
        state : dict
            From `state`.
        """
        for name, value in state.items():
            setattr(self, name, dict(value) if isinstance(value, dict) else value)

    @property
    def layers(self):
        """Names of the populations whose parameters attention has changed (list of str)."""
        return list(dict.fromkeys(name for name, _ in self._before))

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
            (population, variable) -> function of the image index that computes the array. Elements that the user has assigned
            since attention was set keep their values; a parameter that was assigned as a whole is not among them.

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
                """Arrays of all variables of image k."""
                if k not in last:
                    last.clear()
                    last[k] = self._changes(attention, name, self._before, k)
                return last[k]

            def array(k, key, assigned, values, arrays=arrays):
                """Array of one variable of image k, with the elements that the user has assigned."""
                self._last[key] = arrays(k)[key[1]]
                return np.where(assigned, values, self._last[key]) if assigned.any() else self._last[key]

            for key in self._before:
                if key[0] == name and not (found := self._assigned(key))[0].all():
                    functions[key] = partial(array, key=key, assigned=found[0], values=found[1])
        return functions

    def _assigned(self, key):
        """Return which elements of a parameter the user has assigned since attention was written, and its values."""
        value = self._read(*key)
        known = [self._written[key], *([self._last[key]] if key in self._last else [])]
        assigned = min(
            (value != np.broadcast_to(k, value.shape).astype(value.dtype) for k in known), key=np.count_nonzero
        )
        # One value for all was assigned to all, also to those that attention had given this value.
        return (np.ones_like(assigned) if assigned.any() and np.ptp(value) == 0 else assigned), value

    def unattended(self):
        """
        Return the values from before attention; elements that the user has assigned since have those values.

        Returns
        -------
        values : dict of (str, str) to ndarray
            (population, variable) -> values, without parameters that were assigned as a whole.
        """
        found = {key: (before, *self._assigned(key)) for key, before in self._before.items()}
        return {
            key: np.where(assigned, value, before)
            for key, (before, assigned, value) in found.items()
            if not assigned.all()
        }

    def _changes(self, attention, name, before, image=0):
        """Return variable -> array for one population and one image."""
        model, parameters = self._models[name], self._parameters[name]
        derived = {
            n.removesuffix(REST): (tuple(o.removesuffix(REST) for o in origins), function)
            for n, (origins, function) in model.derived.items()
        }
        names = {*model.attention.values(), *derived, *(o for origins, _ in derived.values() for o in origins)}
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
            name,
            self._shapes.get(name),
            values,
            AttentionTargets(model.name, model.attention, derived, model.parameters),
            image,
        )
        for variable, array in changed.items():
            with np.errstate(over="ignore"):
                stored = array.astype(values[variable].dtype)
            if not np.isfinite(stored).all():
                raise ValueError(
                    f"attend: {variable} of {name!r} would become NaN or infinite; use a smaller strength of attention."
                )
        if not switches or not changed:
            return changed
        # Write all of them, to overwrite values that a previous attention left in the others.
        arrays = {n + ATTENDED: changed.get(n, values[n]) for n in sorted(switches)}
        # Half a step early, so that rounding errors in t do not shift the switch by a step.
        on, off = (t - self._dt / 2 for t in attention.times(image))
        return {**arrays, "t_attend_on": np.array([on]), "t_attend_off": np.array([off])}


def _check_steps(attention, dt):
    """Refuse times that are not multiples of the time step."""
    for name in ("onset", "offset"):
        steps = np.asarray(np.inf if getattr(attention, name) is None else getattr(attention, name)) / dt
        for step in np.unique(steps[np.isfinite(steps)]):
            if abs(step - np.rint(step)) > 1e-6:
                raise ValueError(
                    f"attend: {name}={step * dt * 1e3:g} ms is not a multiple of the time step {dt * 1e3:g} ms; the nearest "
                    f"one is {np.rint(step) * dt * 1e3:g} ms."
                )


def _check_names(attention, names):
    """Refuse attention that reaches no population, or names one that is not attended."""
    if not names:
        raise ValueError(
            "attend: layers=[] names no layer. Name one or more, or leave layers out for all spiking ones."
        )
    if idle := sorted(attention.layers - set(names)):
        raise ValueError(
            f"attend: attention names {', '.join(map(repr, idle))} without effect, since only {names} are attended. Name "
            "these layers alone, or others in layers=[...]."
        )


def _check_gains(attention, layer, shape):
    """Refuse gains ``1 + a*R`` that would make excitation inhibition where the field of an image is weakest, or strongest."""
    for mechanism in ("input_gain", "output_gain"):
        a = attention.strength(mechanism, layer)
        for image in range((attention.n_images or 1) if not 0 <= a <= 1 else 0):  # R is -1 or greater
            worst = np.min(a * attention.field.modulation(shape, image, layer))
            if worst < -1:
                raise ValueError(
                    f"attend: {mechanism}={a:g} makes excitation inhibition in {layer!r}: 1 + a*R reaches {1 + worst:.2g} for "
                    f"image {image}. Use a strength nearer to 0: {-a / worst:.2g} at most."
                )
