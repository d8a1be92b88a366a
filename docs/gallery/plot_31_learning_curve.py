"""
How many digits does a network need?
====================================

The shipped networks were trained on 4,000 digits, the published ones on 60,000. How much of a difference in accuracy can the
number of digits explain? Errors of one network, trained on more and more digits with as many updates each time, follow a power
law closely enough to be carried on. :download:`studies/learning_curve.py </../studies/learning_curve.py>` does it for the
published network with feedback, with an interval for what is predicted.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np

from brainsnn.analysis import PALETTE, accuracy_interval
from brainsnn.stimuli import load_digits

images, labels = load_digits("train")
tests, answers = load_digits("test")
sizes, n = np.array([125, 250, 500, 1000, 2000, 4000]), len(tests)


def errors_of(size):
    """Return how many test digits a network gets wrong that was trained on so many digits."""
    keras.utils.set_random_seed(1)
    convolutions = [
        keras.layers.Conv2D(c, 3, strides=2, activation="relu") for c in (8, 16)
    ]
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *convolutions,
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(
        images[:size], labels[:size], batch_size=25, epochs=16_000 // size, verbose=0
    )
    return int((model.predict(tests, verbose=0).argmax(1) != answers).sum())


# %%
# As many updates for each number, so that only the digits differ. The last number is left out of the fit and serves as a check.
errors = np.array([errors_of(size) for size in sizes])
slope, start = np.polyfit(np.log(sizes[:-1]), np.log(errors[:-1] / n), 1)

# %%
# The bars are 95% intervals for other test digits; other seeds would scatter more. If the law held up to 60,000, the error would
# be where the line ends. A floor, which no number of digits undercuts, cannot be seen in so few points.
figure, ax = plt.subplots(figsize=(4.2, 3), layout="constrained")
share, (low, high) = (
    100 * errors / n,
    (100 * bound for bound in accuracy_interval(errors, n)),
)
line = np.array([sizes[0], 60_000])
ax.plot(
    line,
    100 * np.exp(start) * line**slope,
    "--",
    color="0.5",
    label=f"error ~ n^{slope:.2f}, fitted to the first five",
)
ax.errorbar(
    sizes,
    share,
    (share - low, high - share),
    fmt="o",
    color=PALETTE[0],
    capsize=2,
    label="one network each",
)
ax.set(xscale="log", yscale="log", xlabel="training digits", ylabel="wrong (%)")
ax.set_title(f"illustration, n = {n:,} test digits", fontsize=9)
ax.legend(frameon=False, fontsize=8)
