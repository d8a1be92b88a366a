"""What changes from image to image: the values of a batch of trials, independent of the device that runs them."""

from dataclasses import dataclass, field

import numpy as np

from brainsnn.one_line import fields_line

__all__ = ["TrialRecord", "Trials"]


@dataclass
class Trials:
    """
    A batch of independent trials.

    Parameters
    ----------
    n_trials, n_steps : int
    dt : float
        Time step in seconds.
    seed : int or (n_trials,) array_like of int
        Each trial's random numbers follow from the seed and the index of the trial alone. An array of ints: the seed of
        each trial.
    shared : dict
        (group name, variable name) -> array, the same in every trial.
    per_trial : dict
        (group name, variable name) -> function of the trial's index that gives the array.
    trains : dict
        Name of a `~brainsnn.builders.network.replay.SpikeReplay` -> function of the trial's index that gives the
        (n_steps, n_neurons) signs of the spikes to be replayed.
    stream : `~brainsnn.results.streaming.StreamFolder`, optional
        Where recordings go while the trials run.
    first_images : (n, H, W, C) ndarray, optional
        A copy of the first images, which the result holds.
    """

    n_trials: int
    n_steps: int
    dt: float
    seed: object = 0
    shared: dict = field(default_factory=dict)
    per_trial: dict = field(default_factory=dict)
    trains: dict = field(default_factory=dict)
    stream: object = None
    first_images: object = None

    __repr__ = fields_line

    @property
    def chunk_steps(self):
        """Number of steps that run before recordings are taken from the monitors (int)."""
        return self.n_steps if self.stream is None else self.stream.chunk_steps

    def seed_of(self, trial):
        """
        The seed of one trial.

        Parameters
        ----------
        trial : int

        Returns
        -------
        seed : int
            In 0 ... 2**32 - 1.
        """
        if np.ndim(self.seed):
            return int(self.seed[trial])
        return int(np.random.SeedSequence([self.seed, trial]).generate_state(1)[0])


@dataclass(frozen=True)
class TrialRecord:
    """
    What the monitors recorded in one trial, or in a chunk of it.

    Parameters
    ----------
    spike_counts : dict
        Monitor name -> number of spikes.
    spikes : dict
        Monitor name -> (neuron indices, step indices), for monitors that record.
    states : dict
        Monitor name -> dict of variable name -> (n_steps, n_recorded) array.
    first_step : int
        The step at which the chunk begins.
    """

    spike_counts: dict
    spikes: dict
    states: dict
    first_step: int = 0

    __repr__ = fields_line
