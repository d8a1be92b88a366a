"""Learning rates of the published trainings, as functions of the number of updates."""

import keras
from keras import ops

__all__ = ["CyclicRate", "StepRate", "plateau_rate"]

#: The published rate falls to a tenth after so many epochs.
EPOCHS_PER_STEP = 30


@keras.saving.register_keras_serializable(package="brainsnn")
class StepRate(keras.optimizers.schedules.LearningRateSchedule):
    """
    The rate of the published ImageNet training: a tenth every 30 epochs, divided by 1 + decay*updates.

    Parameters
    ----------
    steps_per_epoch : int
    base : float, optional
        Rate of epochs 1-30.
    first : float, optional
        Rate of epoch 0, which counts as a step of its own. As published it is 1.0, ten times that of the next: the formula
        takes floor((epoch - 1)/30) = -1.
    decay : float, optional
        1e-4 as published, so that the rate is divided by 17 at epoch 30 and by 49 at epoch 90 of ImageNet.

    Examples
    --------
    >>> from brainsnn.training.rates import StepRate
    >>> [round(float(StepRate(10, first=1.0)(10 * epoch)), 6) for epoch in (0, 1, 30, 31, 61)]
    [1.0, 0.1, 0.1, 0.01, 0.001]
    """

    def __init__(self, steps_per_epoch, base=0.1, first=0.1, decay=0.0):
        super().__init__()
        self.steps_per_epoch, self.base, self.first, self.decay = steps_per_epoch, base, first, decay

    def __call__(self, step):
        """Return the rate of an update, counted from 0."""
        step = ops.cast(step, "float32")
        epoch = ops.floor(step / self.steps_per_epoch)
        rate = self.base * 0.1 ** ops.floor((epoch - 1) / EPOCHS_PER_STEP)
        return ops.where(epoch < 1, self.first, rate) / (1 + self.decay * step)

    def get_config(self):
        """Return the arguments from which this rate can be made again."""
        return {"steps_per_epoch": self.steps_per_epoch, "base": self.base, "first": self.first, "decay": self.decay}


@keras.saving.register_keras_serializable(package="brainsnn")
class CyclicRate(keras.optimizers.schedules.LearningRateSchedule):
    """
    A triangle between two rates (Smith 2017), an alternative in the published fine-tuning.

    Parameters
    ----------
    base, top : float, optional
        Both are 1e-4 as committed, so that the rate is constant.
    half_period : int, optional
        Updates from one to the other.

    References
    ----------
    Smith (2017), Cyclical learning rates for training neural networks, WACV.
    """

    def __init__(self, base=1e-4, top=1e-4, half_period=264):
        super().__init__()
        self.base, self.top, self.half_period = base, top, half_period

    def __call__(self, step):
        """Return the rate of an update, counted from 0."""
        phase = ops.cast(step, "float32") / self.half_period
        distance = ops.abs(phase - 2 * ops.floor(1 + phase / 2) + 1)
        return self.base + (self.top - self.base) * ops.maximum(0.0, 1 - distance)

    def get_config(self):
        """Return the arguments from which this rate can be made again."""
        return {"base": self.base, "top": self.top, "half_period": self.half_period}


def plateau_rate(losses, rate=1e-4, factor=0.1, patience=5, lowest=1e-6):
    """
    Return the rate of the next epoch: reduced each time that the validation loss has not fallen for some epochs.

    Parameters
    ----------
    losses : sequence of float
        Validation losses of all epochs so far.
    rate, factor, lowest : float, optional
        First rate, what it is multiplied by, and the smallest.
    patience : int, optional
        Epochs without improvement (of 1e-4) after which it is reduced, as in Keras.

    Returns
    -------
    rate : float

    Examples
    --------
    >>> from brainsnn.training.rates import plateau_rate
    >>> plateau_rate([1.0, 0.9]), plateau_rate([0.9] * 6)
    (0.0001, 1e-05)
    """
    best, waited = float("inf"), 0
    for loss in losses:
        if loss < best - 1e-4:
            best, waited = loss, 0
            continue
        waited += 1
        if waited >= patience:
            rate, waited = max(rate * factor, lowest), 0
    return rate
