"""Train classifiers that also predict their input: first as ANN, then as SNN unrolled in time."""

import csv
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from brainsnn.files import check_file, write_atomically
from brainsnn.training.surrogate import (
    SpikingUnroll,
    balance_thresholds,
    linear_surrogate,
    spike_time_surrogate,
    squash_for_training,
    time_weights,
)
from brainsnn.training.train_digits import augment

__all__ = ["Recipe", "Trainer", "evaluate_unrolled"]

#: Fractions of the epochs after which the learning rate is multiplied by LEARNING_RATE_DROP, as published.
LEARNING_RATE_STEPS = (0.6, 0.8, 0.9)
LEARNING_RATE_DROP = 0.2


@dataclass
class Recipe:
    """
    All parameters of a training, apart from network and data.

    Parameters
    ----------
    ann_epochs, snn_epochs : int
    steps : int
        Length of a trial of the SNN, in steps.
    training_steps : int or None
        Steps over which the SNN is unrolled for training; None for all. The loss is computed at the last of them.
    snn_images : int or None
        Number of randomly chosen training images per epoch of the SNN; None for all.
    batch_size : int
    ann_learning_rate, snn_learning_rate : float
        Initial values; both fall in steps.
    trade_off : float
        Weight of the reconstruction loss (the squared error, summed over the pixels of an image) relative to the
        cross-entropy.
    squash : {"clip", "tanh", "sigmoid"}
    squash_step : float
        Contribution of one spike of the generator to the prediction, before the squash.
    surrogate : {"linear", "spike_time"}
    gamma, alpha, beta : float
        Parameters of the surrogate gradients.
    leak : float
    threshold_scale : float
        Factor on the balanced thresholds.
    reconstruct_at : {"last", "late", "linear"}
        Steps at which the SNN's reconstruction enters the loss; see `~brainsnn.training.surrogate.time_weights`.
    gate_epsilon : float or None
        During training of the SNN, the sticky gate closes on pixels predicted within this error. None: no gate.
    spike_cost : float
        Weight, in the loss of the SNN, of the mean number of spikes per image divided by 1000.
    seed : int
    """

    ann_epochs: int = 25
    snn_epochs: int = 5
    steps: int = 50
    training_steps: int | None = 30
    snn_images: int | None = 1600
    batch_size: int = 32
    ann_learning_rate: float = 1e-3
    snn_learning_rate: float = 5e-4
    trade_off: float = 0.01
    squash: str = "clip"
    squash_step: float = 0.125
    surrogate: str = "linear"
    gamma: float = 0.3
    alpha: float = 0.3
    beta: float = 0.01
    leak: float = 1.0
    threshold_scale: float = 0.5
    reconstruct_at: str = "linear"
    gate_epsilon: float | None = 0.1
    spike_cost: float = 0.0
    seed: int = 0


def evaluate_unrolled(unroll, images, labels, n_steps, gate_epsilon=None, batch_size=200, run=None):
    """
    Measure accuracy, reconstruction error and spikes of the unrolled network.

    Parameters
    ----------
    unroll : `~brainsnn.training.surrogate.SpikingUnroll`
    images : (n, H, W, C) ndarray
    labels : (n,) ndarray of int
    n_steps : int
    gate_epsilon : float, optional
    batch_size : int
    run : callable, optional
        A compiled ``unroll.run`` of one batch, to avoid tracing it again.

    Returns
    -------
    measures : dict
        ``accuracy``, ``reconstruction`` (squared error per image; nan without a generator) and ``spikes`` (dict from
        layer to spikes per image).
    """
    run = run or tf.function(lambda x: unroll.run(x, n_steps, gate_epsilon))
    correct, error, spikes = 0, 0.0, {}
    for first in range(0, len(images), batch_size):
        batch = tf.convert_to_tensor(images[first : first + batch_size])
        outputs = run(batch)
        correct += int(np.sum(np.argmax(outputs["logits"], 1) == labels[first : first + batch_size]))
        if outputs["predictions"]:
            error += float(tf.reduce_sum((outputs["predictions"][-1] - batch) ** 2))
        for name, counts in outputs["spikes"].items():
            spikes[name] = spikes.get(name, 0.0) + float(tf.reduce_sum(counts))
    n, has_generator = len(images), bool(outputs["predictions"])
    return {
        "accuracy": correct / n,
        "reconstruction": error / n if has_generator else float("nan"),
        "spikes": {name: count / n for name, count in spikes.items()},
    }


class Trainer:
    """
    Train a model from `~brainsnn.training.predictive_vgg.predictive_vgg`; resume an interrupted training.

    Parameters
    ----------
    model : keras.Model
    recipe : `Recipe`
    folder : `~pathlib.Path`
        Folder of the checkpoint and the log (``log.csv``).
    images, labels : ndarray
        (n, H, W, C) and (n,).
    validation : tuple of ndarray
        Images and labels for the log.
    report : callable
        Called with one line of text per epoch.

    Raises
    ------
    ValueError
        If the folder holds a checkpoint from another recipe.
    """

    def __init__(self, model, recipe, folder, images, labels, validation, report=print):
        self.model, self.recipe, self.folder, self.report = model, recipe, Path(folder), report
        self.images, self.labels, self.validation = images, labels, validation
        self.has_generator = len(model.outputs) > 1
        self.optimizer = keras.optimizers.Adam(recipe.ann_learning_rate)
        self.optimizer.build(model.trainable_variables)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.thresholds, self._run = {}, None
        self._done = {"ann": 0, "snn": 0}
        self._resume()

    # Checkpoints

    @property
    def _variables(self):
        return [*self.model.weights, *self.optimizer.variables]

    def _resume(self):
        path = self.folder / "checkpoint.npz"
        if not path.exists():
            return
        check_file(path, "Training")
        with np.load(path, allow_pickle=False) as data:
            state = json.loads(str(data["state"]))
            if state["recipe"] != asdict(self.recipe):
                raise ValueError(
                    f"{path} is from another recipe. Choose another --checkpoints folder, or remove this one to start again."
                )
            for k, variable in enumerate(self._variables):
                variable.assign(data[f"variable_{k}"])
        self._done, self.thresholds = state["done"], state["thresholds"]
        self.report(f"resumed after {self._done['ann']} ANN and {self._done['snn']} SNN epochs")

    def _save(self):
        state = {"recipe": asdict(self.recipe), "done": self._done, "thresholds": self.thresholds}
        arrays = {f"variable_{k}": variable.numpy() for k, variable in enumerate(self._variables)}
        with write_atomically(self.folder / "checkpoint.npz") as file:
            np.savez(file, state=json.dumps(state), **arrays)

    def _log(self, **row):
        path = self.folder / "log.csv"
        new = not path.exists()
        with open(path, "a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)

    @property
    def seconds(self):
        """Duration of all epochs so far, including earlier sessions (float)."""
        with open(self.folder / "log.csv", newline="") as file:
            return sum(float(row["seconds"]) for row in csv.DictReader(file))

    # Losses

    def _loss(self, logits, predictions, weights, images, labels):
        """Return the cross-entropy plus the weighted squared errors of the predictions."""
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        for weight, prediction in zip(weights, predictions):
            if weight:
                error = tf.reduce_sum((prediction - images) ** 2, (1, 2, 3))
                loss += self.recipe.trade_off * weight * tf.reduce_mean(error)
        return loss

    def _ann_step(self):
        recipe = self.recipe

        @tf.function
        def step(images, labels):
            with tf.GradientTape() as tape:
                outputs = self.model(images, training=True)
                logits, raw = outputs if self.has_generator else (outputs, None)
                predictions = [squash_for_training(recipe.squash, raw)] if self.has_generator else []
                loss = self._loss(logits, predictions, [1.0], images, labels)
            gradients = tape.gradient(loss, self.model.trainable_variables)
            self.optimizer.apply(gradients, self.model.trainable_variables)
            return loss, tf.reduce_mean(tf.cast(tf.argmax(logits, 1) == labels, tf.float32))

        return step

    def unroll(self):
        """Return the model as a `~brainsnn.training.surrogate.SpikingUnroll` with the balanced thresholds."""
        recipe = self.recipe
        spike = {
            "linear": lambda: linear_surrogate(recipe.gamma),
            "spike_time": lambda: spike_time_surrogate(recipe.alpha, recipe.beta),
        }[recipe.surrogate]()
        return SpikingUnroll(self.model, self.thresholds, recipe.leak, spike, recipe.squash, recipe.squash_step)

    def _snn_step(self):
        recipe, unroll = self.recipe, self.unroll()
        n_steps = recipe.training_steps or recipe.steps
        weights = time_weights(recipe.reconstruct_at, n_steps)

        @tf.function
        def step(images, labels):
            with tf.GradientTape() as tape:
                outputs = unroll.run(images, n_steps, recipe.gate_epsilon)
                logits = outputs["logits"] * (10.0 / n_steps)
                loss = self._loss(logits, outputs["predictions"], weights, images, labels)
                if recipe.spike_cost:
                    total = tf.add_n([tf.reduce_mean(counts) for counts in outputs["spikes"].values()])
                    loss += recipe.spike_cost * total / 1000
            gradients = tape.gradient(loss, self.model.trainable_variables)
            gradients, _ = tf.clip_by_global_norm(gradients, 1.0)
            self.optimizer.apply(gradients, self.model.trainable_variables)
            return loss, tf.reduce_mean(tf.cast(tf.argmax(logits, 1) == labels, tf.float32))

        return step

    # Epochs

    def train_ann(self):
        """Run the remaining epochs of the first stage."""
        self._epochs("ann", self.recipe.ann_epochs, self.recipe.ann_learning_rate, self._ann_step)

    def train_snn(self):
        """Balance the thresholds if needed, and run the remaining epochs of the second stage."""
        if not self.thresholds:
            self.balance()
        self._epochs("snn", self.recipe.snn_epochs, self.recipe.snn_learning_rate, self._snn_step)

    def balance(self, n_images=128):
        """
        Set the thresholds for the current weights.

        Parameters
        ----------
        n_images : int
            Size of the calibration batch.
        """
        tf.random.set_seed(self.recipe.seed)
        self.thresholds = balance_thresholds(
            self.unroll(), self.images[:n_images], self.recipe.steps, self.recipe.threshold_scale
        )
        self.report("thresholds: " + ", ".join(f"{name} {value:.2f}" for name, value in self.thresholds.items()))
        for variable in self.optimizer.variables:  # discard the moments, which belong to another loss
            variable.assign(tf.zeros_like(variable))
        self._save()

    def _epochs(self, stage, n_epochs, learning_rate, make_step):
        step, start = None, time.perf_counter()
        for epoch in range(self._done[stage], n_epochs):
            step = step or make_step()
            drops = sum(epoch >= int(share * n_epochs) for share in LEARNING_RATE_STEPS)
            self.optimizer.learning_rate = learning_rate * LEARNING_RATE_DROP**drops
            # Seeded by the epoch: a resumed training sees the same images in the same order.
            seed = [self.recipe.seed, stage == "snn", epoch]
            random = np.random.default_rng(seed)
            tf.random.set_seed(int(random.integers(2**31)))
            images = augment(self.images, random) if self.images.shape[-1] == 1 else self.images
            order = random.permutation(len(images))
            if stage == "snn" and self.recipe.snn_images:
                order = order[: self.recipe.snn_images]
            losses = []
            for first in range(0, len(order) - self.recipe.batch_size + 1, self.recipe.batch_size):
                chosen = order[first : first + self.recipe.batch_size]
                losses.append([float(x) for x in step(images[chosen].astype(np.float32), self.labels[chosen])])
            loss, accuracy = np.mean(losses, axis=0)
            self._done[stage] = epoch + 1
            self._save()
            self._after_epoch(stage, epoch + 1, n_epochs, loss, accuracy, time.perf_counter() - start)
            start = time.perf_counter()

    def _after_epoch(self, stage, epoch, n_epochs, loss, accuracy, seconds):
        images, labels = self.validation
        if stage == "ann":
            outputs = self.model.predict(images, batch_size=200, verbose=0)
            logits = outputs[0] if self.has_generator else outputs
            error = np.nan
            if self.has_generator:
                prediction = np.asarray(squash_for_training(self.recipe.squash, outputs[1]))
                error = np.mean(np.sum((prediction - images) ** 2, (1, 2, 3)))
            measures = {"accuracy": np.mean(logits.argmax(1) == labels), "reconstruction": error, "spikes": {}}
        else:
            unroll, recipe = self.unroll(), self.recipe
            self._run = self._run or tf.function(lambda x: unroll.run(x, recipe.steps, recipe.gate_epsilon))
            measures = evaluate_unrolled(unroll, images, labels, recipe.steps, run=self._run)
        spikes = sum(measures["spikes"].values())
        self._log(
            stage=stage, epoch=epoch, loss=loss, accuracy=accuracy, validation_accuracy=measures["accuracy"],
            reconstruction=measures["reconstruction"], spikes_per_image=spikes, seconds=seconds,
        )  # fmt: skip
        self.report(
            f"{stage} epoch {epoch:3d}/{n_epochs}  loss {loss:.4f}  accuracy {100 * accuracy:6.2f} %  validation "
            f"{100 * measures['accuracy']:6.2f} %  squared error {measures['reconstruction']:6.2f}  "
            f"spikes {spikes:8.0f}  {seconds:5.0f} s"
        )
