"""What changes from image to image: the values of a batch of trials, independent of the device that runs them."""

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Trials", "TrialRecord"]


@dataclass
class Trials:
    """
    A batch of independent trials.

    Parameters
    ----------
    n_trials, n_steps : int
    dt : float
        Time step in seconds.
    seed : int
        Each trial's random numbers follow from the seed and the index of the trial alone.
    shared : dict
        (group name, variable name) -> array, the same in every trial.
    per_trial : dict
        (group name, variable name) -> function of the trial's index that gives the array.
    trains : dict
        Name of a `~brainsnn.builders.connections.SpikeReplay` -> function of the trial's index that gives the
        (n_steps, n_neurons) signs of the spikes to be replayed.
    """

    n_trials: int
    n_steps: int
    dt: float
    seed: int = 0
    shared: dict = field(default_factory=dict)
    per_trial: dict = field(default_factory=dict)
    trains: dict = field(default_factory=dict)

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
        return int(np.random.SeedSequence([self.seed, trial]).generate_state(1)[0])


@dataclass
class TrialRecord:
    """
    What the monitors saw in one trial.

    Parameters
    ----------
    spike_counts : dict
        Monitor name -> number of spikes.
    spikes : dict
        Monitor name -> (neuron indices, step indices), for monitors that record.
    states : dict
        Monitor name -> dict of variable name -> (n_steps, n_recorded) array.
    """

    spike_counts: dict
    spikes: dict
    states: dict
