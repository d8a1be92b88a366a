"""Train classifiers that also predict their input: first as ANN, then as SNN unrolled in time."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from brainsnn.errors import warn
from brainsnn.files import write_atomically
from brainsnn.training.balancing import balance_thresholds
from brainsnn.training.checkpoints import copy_fitting_weights
from brainsnn.training.predictive_checkpoint import read_checkpoint, write_checkpoint
from brainsnn.training.predictive_data import augmented
from brainsnn.training.predictive_measures import cross_entropy, evaluate_unrolled
from brainsnn.training.predictive_recipe import Recipe, learning_rate_of
from brainsnn.training.predictive_vgg import spiking_layers
from brainsnn.training.surrogate import linear_surrogate, spike_time_surrogate, squash_for_training, time_weights
from brainsnn.training.unroll import SpikingUnroll

__all__ = ["Recipe", "Trainer"]


class Trainer:
    """
    Train a model from `~brainsnn.training.predictive_vgg.predictive_vgg` or `hybrid_resnet`; resume an interrupted training.

    Parameters
    ----------
    model : keras.Model
    recipe : `Recipe`
    folder : `~pathlib.Path`
        Folder of the checkpoint and the log (``log.csv``).
    images, labels : ndarray
        (n, H, W, C) and (n,).
    validation : tuple of ndarray
        Images and labels for the log, and for ``keep="best-test"`` and ``stop_below`` of the recipe.
    report : callable
        Called with one line of text per epoch.
    black : (C,) array_like, optional
        Value of a black pixel, around images that are cropped; see `~brainsnn.training.predictive_data.crop_and_flip`.
    settings : dict, optional
        What the training depends on besides the recipe, by name: a checkpoint with others is refused. By default the shapes of
        images and weights.

    Attributes
    ----------
    ann_accuracy : float or None
        Accuracy of the ANN after the first stage, which whoever trains sets; kept in the checkpoint.
    log : list of dict
        What ``log.csv`` says of each epoch.
    new_layers : list of str
        Layers to which ``pretrained_ann`` of the recipe, if given, had no weights that fit.

    Raises
    ------
    ValueError
        If the folder holds a checkpoint from another recipe, network or data, or a log without a checkpoint; if the images
        cannot be augmented as the recipe says, or are fewer than a batch; if the network lacks the dropout layers that it
        names, or no layer of its ``pretrained_ann`` fits.
    """

    def __init__(self, model, recipe, folder, images, labels, validation, report=print, black=None, settings=None):
        self.model, self.recipe, self.folder, self.report = model, recipe, Path(folder), report
        self.images, self.labels, self.validation, self.black = images, labels, validation, black
        self.has_generator = len(model.outputs) > 1
        augmented(recipe.augmentation, images[:1], np.random.default_rng(0))  # refuses what images it is not for
        if max(recipe.ann_conv_dropout, recipe.snn_conv_dropout) and not self._conv_dropouts:
            raise ValueError(
                f"Trainer: ann_conv_dropout={recipe.ann_conv_dropout!r} and snn_conv_dropout={recipe.snn_conv_dropout!r} have no "
                "effect on a network without dropout after convolutions. Use predictive_vgg(conv_dropout=...), or give 0."
            )
        self._refuse_small_epochs()
        shapes = {layer.name: [tuple(w.shape) for w in layer.weights] for layer in model.layers if layer.weights}
        settings = {"images": images.shape, **shapes} if settings is None else settings
        self._settings = json.loads(json.dumps(settings))  # as a checkpoint returns them
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ann_accuracy, self.log = None, []
        self.thresholds, self._runs, self.new_layers = {}, {}, []
        self._done, self._best, self._restored = {"ann": 0, "snn": 0}, {"ann": -1.0, "snn": -1.0}, []
        self._begin("ann")
        self._resume()

    def _refuse_small_epochs(self):
        """Refuse a stage whose epochs have not even one batch."""
        recipe = self.recipe
        for stage, n in (
            ("ann", len(self.images)),
            ("snn", min(len(self.images), recipe.snn_images or len(self.images))),
        ):
            trained = recipe.of_stage(stage, "epochs") > recipe.first_epoch
            if trained and not recipe.keep_remainder and n < recipe.batch_size:
                raise ValueError(
                    f"Trainer: batch_size={recipe.batch_size} is more than the {n} images of an epoch of the {stage.upper()}. "
                    "Give a smaller --batch-size, more images, or --keep-remainder true."
                )

    def _begin(self, stage):
        """Take a new optimizer, and the dropout rates of a stage."""
        recipe, rate = self.recipe, self.recipe.of_stage(stage, "learning_rate")
        if recipe.of_stage(stage, "optimizer") == "sgd":
            self.optimizer = keras.optimizers.SGD(rate, recipe.of_stage(stage, "momentum"))
        else:
            self.optimizer = keras.optimizers.Adam(rate, epsilon=recipe.adam_epsilon, amsgrad=recipe.amsgrad)
        self.optimizer.build(self.model.trainable_variables)
        self.stage = stage
        for layer in self._conv_dropouts:
            layer.rate = recipe.of_stage(stage, "conv_dropout")
        self._ann_batch = tf.function(lambda x: self._ann_outputs(x, False))

    @property
    def _conv_dropouts(self):
        return [layer for layer in self.model.layers if layer.name.endswith("_dropout")]

    # Checkpoints

    @property
    def _variables(self):
        return [*self.model.weights, *self.optimizer.variables]

    def _resume(self):
        state, values = read_checkpoint(self.folder, self.recipe, self._settings)
        if state is None:
            if self.recipe.pretrained_ann is not None:
                copied, self.new_layers = copy_fitting_weights(self.model, self.recipe.pretrained_ann)
                new = ", ".join(self.new_layers) or "none"
                self.report(f"weights of {self.recipe.pretrained_ann}: {', '.join(copied)}; new weights: {new}")
            return
        self._begin(state["stage"])
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)
        self._done, self.thresholds = state["done"], state["thresholds"]
        self._best, self._restored = state["best"], state["restored"]
        self.ann_accuracy, self.log = state["ann_accuracy"], state["log"]
        unknown = "" if "settings" in state else "; data and network are not compared, since an older version wrote it"
        self.report(f"resumed after {self._done['ann']} ANN and {self._done['snn']} SNN epochs{unknown}")

    def save(self):
        """Write the checkpoint and the log."""
        state = {
            "recipe": asdict(self.recipe), "settings": self._settings, "stage": self.stage, "done": self._done,
            "thresholds": self.thresholds, "best": self._best, "restored": self._restored, "ann_accuracy": self.ann_accuracy,
            "log": self.log,
        }  # fmt: skip
        write_checkpoint(self.folder, state, [variable.numpy() for variable in self._variables])

    def _keep(self, stage, accuracy):
        """Keep the weights of an epoch if they are the best so far."""
        if self.recipe.keep == "best-test" and accuracy > self._best[stage]:
            self._best[stage] = accuracy
            with write_atomically(self.folder / f"best_{stage}.npz") as file:
                np.savez(file, *[variable.numpy() for variable in self.model.weights])

    def _restore(self, stage):
        """Take the best weights of a stage, once."""
        if self.recipe.keep != "best-test" or stage in self._restored or self._best[stage] < 0:
            return
        with np.load(self.folder / f"best_{stage}.npz", allow_pickle=False) as data:
            for k, variable in enumerate(self.model.weights):
                variable.assign(data[f"arr_{k}"])
        self._restored.append(stage)
        self.report(f"{stage}: weights of the epoch with {100 * self._best[stage]:.2f} %")
        self.save()

    @property
    def seconds(self):
        """Duration of all epochs so far, including earlier sessions (float)."""
        return sum(float(row["seconds"]) for row in self.log)

    # Losses

    def _loss(self, logits, predictions, weights, images, labels, trade_off, batch_sum=False):
        """Return the cross-entropy plus the weighted squared errors of the predictions."""
        loss = tf.reduce_mean(cross_entropy(labels, logits))
        for weight, prediction in zip(weights, predictions):
            if weight:
                error = tf.reduce_sum((prediction - images) ** 2, (1, 2, 3))
                loss += trade_off * weight * (tf.reduce_sum if batch_sum else tf.reduce_mean)(error)
        return loss

    def _apply(self, gradients, clip_norm=None):
        """Change the weights. Weight decay is part of the gradient, unlike in Keras."""
        variables = self.model.trainable_variables
        if clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, clip_norm)
        if self.recipe.weight_decay:
            decay = self.recipe.weight_decay  # what the loss does not reach stays as it is
            gradients = [None if g is None else g + decay * v for g, v in zip(gradients, variables)]
        self.optimizer.apply(gradients, variables)

    def _ann_outputs(self, images, training):
        """Return logits and predictions of the ANN; each iteration adds the features of the error of the one before."""
        if not self.has_generator:
            return self.model(images, training=training), []
        squash = self.recipe.squash
        if self.recipe.ann_iterations == 1:
            logits, raw = self.model(images, training=training)
            return logits, [squash_for_training(squash, raw)]
        encode, classify, generate = self._parts
        features, predictions, error = 0.0, [], images
        for _ in range(self.recipe.ann_iterations):
            features += encode(error, training=training)
            predictions.append(squash_for_training(squash, generate(features, training=training)))
            error = images - predictions[-1]
        return classify(features, training=training), predictions

    @property
    def _parts(self):
        """The network from images to features, and from features to logits and to the prediction."""
        features = self.model.get_layer("flatten").input
        parts = (self.model.input, features), (features, self.model.outputs[0]), (features, self.model.outputs[1])
        if not hasattr(self, "_models"):
            self._models = [keras.Model(inputs, outputs) for inputs, outputs in parts]
        return self._models

    def _ann_step(self):
        n = self.recipe.ann_iterations

        @tf.function
        def step(images, labels):
            """Train the ANN on a batch."""
            with tf.GradientTape() as tape:
                logits, predictions = self._ann_outputs(images, True)
                loss = self._loss(logits, predictions, [1.0] * n, images, labels, self.recipe.ann_trade_off)
            self._apply(tape.gradient(loss, self.model.trainable_variables))
            return loss, tf.reduce_mean(tf.cast(tf.argmax(logits, 1) == labels, tf.float32))

        return step

    def measure_ann(self, images, labels, batch_size=200):
        """
        Measure accuracy, cross-entropy and reconstruction error of the ANN.

        Parameters
        ----------
        images, labels : ndarray
        batch_size : int

        Returns
        -------
        measures : dict
            As of `~brainsnn.training.predictive_measures.evaluate_unrolled`, without spikes.
        """
        correct, entropy, error = 0, 0.0, 0.0 if self.has_generator else float("nan")
        for first in range(0, len(images), batch_size):
            batch, own = images[first : first + batch_size], labels[first : first + batch_size]
            logits, predictions = self._ann_batch(batch)
            correct += int(np.sum(np.argmax(logits, 1) == own))
            entropy += float(tf.reduce_sum(cross_entropy(own, logits)))
            if predictions:
                error += float(tf.reduce_sum((predictions[-1] - batch) ** 2))
        n = len(images)
        return {"accuracy": correct / n, "cross_entropy": entropy / n, "reconstruction": error / n, "spikes": {}}

    def unroll(self):
        """Return the model as a `~brainsnn.training.unroll.SpikingUnroll` with the balanced thresholds."""
        recipe = self.recipe
        spike = {
            "linear": lambda: linear_surrogate(recipe.gamma),
            "spike_time": lambda: spike_time_surrogate(recipe.alpha, recipe.beta),
        }[recipe.surrogate]()
        return SpikingUnroll(
            self.model, self.thresholds, recipe.leak, spike, recipe.squash, recipe.squash_step, spiking_layers(self.model),
            recipe.gate_squash, recipe.strict_gate, input_rate=recipe.input_rate,
        )  # fmt: skip

    def _snn_step(self):
        recipe, unroll = self.recipe, self.unroll()
        n_steps = recipe.training_steps or recipe.steps
        weights, summed = time_weights(recipe.reconstruct_at, n_steps), recipe.reconstruct_at == "published_linear"

        @tf.function
        def step(images, labels):
            """Train the SNN on a batch."""
            with tf.GradientTape() as tape:
                outputs = unroll.run(images, n_steps, recipe.gate_epsilon, recipe.snn_dropout)
                logits = outputs["logits"] * (1.0 if recipe.logit_scale is None else recipe.logit_scale / n_steps)
                predictions = outputs["predictions"]
                loss = self._loss(logits, predictions, weights, images, labels, recipe.snn_trade_off, summed)
                if recipe.spike_cost:
                    total = tf.add_n([tf.reduce_mean(counts) for counts in outputs["spikes"].values()])
                    loss += recipe.spike_cost * total / 1000
            self._apply(tape.gradient(loss, self.model.trainable_variables), recipe.clip_norm)
            return loss, tf.reduce_mean(tf.cast(tf.argmax(logits, 1) == labels, tf.float32))

        return step

    # Epochs

    def train_ann(self):
        """Run the remaining epochs of the first stage."""
        self._epochs("ann", self._ann_step)

    def train_snn(self):
        """Balance the thresholds if needed, and run the remaining epochs of the second stage, with a new optimizer."""
        if not self.thresholds:
            self.balance()
        self._epochs("snn", self._snn_step)

    def balance(self):
        """Set the thresholds for the current weights, or those of the recipe."""
        recipe, unroll = self.recipe, self.unroll()
        if recipe.default_threshold is None:
            self.thresholds = self._balanced(unroll)
        else:
            self.thresholds = {stage.name: recipe.default_threshold for stage in unroll.stages if stage.spikes}
        self.report("thresholds: " + ", ".join(f"{name} {value:.2f}" for name, value in self.thresholds.items()))
        self._begin("snn")
        self.save()

    def _balanced(self, unroll):
        """Return the balanced thresholds."""
        recipe, n = self.recipe, min(self.recipe.balance_images, len(self.images))
        tf.random.set_seed(recipe.seed)
        images, published = self.images[:n], recipe.balance == "published"
        if published:
            unroll.leak, random = 1.0, np.random.default_rng([recipe.seed, 2])

            def images():
                """Draw new random images."""
                chosen = random.choice(len(self.images), n, replace=False)
                return augmented(recipe.augmentation, self.images[chosen], random, self.black).astype(np.float32)

        return balance_thresholds(
            unroll, images, recipe.balance_steps or recipe.steps, recipe.threshold_scale, published,
            self.report if published else None, recipe.balance_blocks,
        )  # fmt: skip

    def _epochs(self, stage, make_step):
        recipe, step, start = self.recipe, None, time.perf_counter()
        n_epochs = recipe.of_stage(stage, "epochs") - recipe.first_epoch
        while self._done[stage] < n_epochs:
            epoch = self._done[stage]
            step = step or make_step()
            self.optimizer.learning_rate = learning_rate_of(recipe, stage, epoch)
            loss, accuracy = self._epoch(stage, epoch, step)
            measures = self._measure(stage)
            self._keep(stage, measures["accuracy"])
            self._done[stage] = epoch + 1
            number = epoch + max(1, recipe.first_epoch)
            if recipe.stop_below is not None and number > recipe.of_stage(stage, "stop_after"):
                if measures["accuracy"] < recipe.stop_below:
                    self._done[stage] = n_epochs
                    self.report(f"{stage}: stopped, accuracy below {100 * recipe.stop_below:g} % after epoch {number}")
            self._log_epoch(stage, number, n_epochs, loss, accuracy, measures, time.perf_counter() - start)
            start = time.perf_counter()
        self._restore(stage)

    def _epoch(self, stage, epoch, step):
        """Train an epoch; return mean loss and accuracy."""
        recipe = self.recipe
        # Seeded by the epoch: a resumed training sees the same images in the same order.
        random = np.random.default_rng([recipe.seed, stage == "snn", epoch])
        tf.random.set_seed(int(random.integers(2**31)))
        images = augmented(recipe.augmentation, self.images, random, self.black)
        order = random.permutation(len(images))
        if stage == "snn" and recipe.snn_images:
            order = order[: recipe.snn_images]
        n_kept = len(order) if recipe.keep_remainder else len(order) // recipe.batch_size * recipe.batch_size
        losses, sizes = [], []
        for first in range(0, n_kept, recipe.batch_size):
            chosen = order[first : first + recipe.batch_size]
            losses.append([float(x) for x in step(images[chosen].astype(np.float32), self.labels[chosen])])
            sizes.append(len(chosen))
        return np.average(losses, axis=0, weights=sizes)

    def _measure(self, stage):
        """Measure the network of a stage on the images for validation."""
        images, labels = self.validation
        if stage == "ann":
            return self.measure_ann(images, labels)
        recipe, unroll = self.recipe, self.unroll()
        if stage not in self._runs:
            self._runs[stage] = tf.function(lambda x: unroll.run(x, recipe.steps, recipe.gate_epsilon))
        return evaluate_unrolled(unroll, images, labels, recipe.steps, run=self._runs[stage])

    def _log_epoch(self, stage, epoch, n_epochs, loss, accuracy, measures, seconds):
        spikes, silent = sum(measures["spikes"].values()), [repr(k) for k, n in measures["spikes"].items() if n == 0]
        if silent:
            warn(
                f"train_predictive: {', '.join(silent)} sent no spike in epoch {epoch}, and what does not spike learns nothing.",
                fix="Take more --steps, a smaller --threshold-scale, or --balance-blocks for a ResNet.",
            )
        self.log.append({
            "stage": stage, "epoch": epoch, "loss": float(loss), "accuracy": float(accuracy),
            "validation_accuracy": measures["accuracy"], "reconstruction": measures["reconstruction"],
            "spikes_per_image": spikes, "seconds": seconds,
        })  # fmt: skip
        self.save()
        self.report(
            f"{stage} epoch {epoch:3d}/{n_epochs}  loss {loss:.4f}  accuracy {100 * accuracy:6.2f} %  validation "
            f"{100 * measures['accuracy']:6.2f} %  squared error {measures['reconstruction']:6.2f}  "
            f"spikes {spikes:8.0f}  {seconds:5.0f} s"
        )
