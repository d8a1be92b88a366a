"""How long an epoch of the published networks would take on this machine, from a few batches."""

import time

import numpy as np

__all__ = ["epoch_cost"]


def epoch_cost(depth, image_shape, n_images, stage, n_batches=2, batch_size=64):
    """
    Time batches of a published training at full width.

    Parameters
    ----------
    depth : {5, 9}
    image_shape : (H, W, C)
    n_images : int
        Images of an epoch.
    stage : {"ann", "snn"}
    n_batches : int
        Timed after a first one, which compiles.
    batch_size : int
        The published 64, or fewer if they do not fit into memory; the time is scaled.

    Returns
    -------
    cost : dict
        ``seconds_per_image`` and ``hours_per_epoch``, of this process's processor time.
    """
    import tempfile

    from brainsnn.training.predictive_recipe import published_recipe
    from brainsnn.training.predictive_training import Trainer
    from brainsnn.training.predictive_vgg import predictive_vgg, published_order, spiking_layers

    random = np.random.default_rng(0)
    images = random.random((batch_size, *image_shape)).astype(np.float32)
    labels = random.integers(0, 10, batch_size)
    recipe = published_recipe(colour=image_shape[2] == 3)
    model = predictive_vgg(depth, image_shape, published=True, conv_dropout=0.3, dropout=0.5)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(model, recipe, folder, images, labels, (images, labels), lambda line: None)
        names = [layer.name for layer in model.layers if layer.weights and layer.activation.__name__ == "relu"]
        # Any thresholds do: the computations are dense.
        trainer.thresholds = dict.fromkeys(published_order([*names, *spiking_layers(model)]), 1.0)
        step = trainer._ann_step() if stage == "ann" else trainer._snn_step()
        step(images, labels)
        start = time.process_time()
        for _ in range(n_batches):
            float(step(images, labels)[0])
        seconds = (time.process_time() - start) / (n_batches * batch_size)
    return {"seconds_per_image": seconds, "hours_per_epoch": seconds * n_images / 3600}
