"""
What a network predicts
=======================

A generator predicts the pixels from the features of the network, and pixels that are predicted well are blocked: what is left
of the image, and what this saves. :download:`studies/predictive_feedback.py </../studies/predictive_feedback.py>` measures it
for many images and gates. The network extends Rathi, Srinivasan, Panda, Roy (2020), ICLR.
"""

import matplotlib.pyplot as plt

import brainsnn as bs
from brainsnn.feedback import trained_options
from brainsnn.stimuli import load_digits

images, labels = load_digits("test")
images, n = images[:20].astype(float), 20
options = trained_options("digits_feedback_if", mode="sticky")
snn = bs.convert(bs.load_model("digits_feedback_if"), **options)
result = snn.run(images, duration=50 * bs.ms)

# %%
# Above, the prediction for the first digit; below, the pixels that the gate lets through. The share is that of the image's
# intensity, as a mean of 20 digits.
shown = (15, 20, 25, 30, 50)
figure, axes = plt.subplots(2, 6, figsize=(7, 2.8), layout="constrained")
axes[0, 0].imshow(images[0, ..., 0], cmap="gray", vmin=0, vmax=1)
axes[0, 0].set_title("image", fontsize=9)
for (above, below), step in zip(axes.T[1:], shown):
    above.imshow(
        result.predicted_input[0, step - 1, ..., 0], cmap="gray", vmin=0, vmax=1
    )
    above.set_title(f"{step} ms", fontsize=9)
    is_open = result.gate[:, step - 1]
    below.imshow((images * is_open)[0, ..., 0], cmap="gray", vmin=0, vmax=1)
    share = (is_open * images).sum() / images.sum()
    below.set_xlabel(f"{100 * share:.0f}% open", fontsize=9)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
axes[0, 1].set_ylabel("prediction", fontsize=9)
axes[1, 1].set_ylabel("open pixels", fontsize=9)
axes[1, 0].axis("off")
axes[1, 0].text(
    0.5, 0.5, f"illustration,\nn = {n} digits", ha="center", va="center", fontsize=8
)
