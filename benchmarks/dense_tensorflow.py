"""
A converted ASN network as dense TensorFlow operations: the peer in digits.py and resnet.py.

Written from the equations of the adaptive spiking neuron as a TensorFlow user would write it: every step convolves the
complete spike maps, in a `tf.function` that loops over the steps. It takes a LayerGraph, so it has the same weights, biases
and drives as the network that it is compared with. Compositions that would slow dense code down are undone: 2x2 average
pooling before a 3x3 convolution is one 6x6 kernel in the graph, which is cheapest for spikes, and two operations here.

Float32, one call per batch. In the "synchronous" schedule a spike of layer k acts in layer k+1 within the same step, in the
"pipelined" schedule one step later. Both cost the same.
"""

import numpy as np
import tensorflow as tf
from _dense import (
    TAU_BETA,
    TAU_ETA,
    TAU_GAMMA,
    TAU_PHI,
    TAU_READOUT,
    decay,
    image_currents,
    is_used,
    plain_convolution,
    pooling_pads,
    state_variables,
)

from brainsnn.builders.network.inputs import inputs_of
from brainsnn.builders.operators import ConvOperator
from brainsnn.builders.operators.pooling import MaxPool, OperatorChain
from brainsnn.equations.transfer import spike_height

__all__ = ["DenseNetwork", "use_threads"]


def use_threads(n):
    """Let TensorFlow use n threads; call this before its first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(n)
    tf.config.threading.set_inter_op_parallelism_threads(1)


# Linear operators


def _convolution(operator):
    """Return the function of (n, H, W, C) maps for a ConvOperator."""
    if operator.is_identity:
        return lambda x: x
    if operator.is_scale:
        factor = tf.constant(operator.kernel.reshape(-1), tf.float32)
        return lambda x: x * factor
    plain = plain_convolution(operator)
    constant = tf.constant(plain.kernel, tf.float32)
    explicit = [[0, 0], *plain.pads, [0, 0]]

    def apply(x):
        if plain.pool > 1:
            x = tf.nn.avg_pool2d(x, plain.pool, plain.pool, "VALID")
        return tf.nn.conv2d(x[:, plain.rows, plain.columns], constant, plain.stride, explicit)

    return apply


def _maximum(operator):
    """Return the function of (n, H, W, C) maps for a MaxPool."""
    pads = pooling_pads(operator)

    def apply(x):
        if max(max(pad) for pad in pads):
            x = tf.pad(x, [[0, 0], *pads, [0, 0]], constant_values=x.dtype.min)
        return tf.nn.max_pool2d(x, operator.pool, operator.stride, "VALID")

    return apply


def linear_function(operator):
    """
    Return the TensorFlow function of an operator of the graph.

    Parameters
    ----------
    operator : ConvOperator, MaxPool or OperatorChain

    Returns
    -------
    function : callable
        From (n, H, W, C) to (n, Ho, Wo, Co) tensors.

    Raises
    ------
    NotImplementedError
        For operators that tf.nn.conv2d cannot compute.
    """
    if isinstance(operator, OperatorChain):
        functions = [linear_function(part) for part in operator.operators]

        def chain(x):
            for function in functions:
                x = function(x)
            return x

        return chain
    makers = {ConvOperator: _convolution, MaxPool: _maximum}
    if type(operator) not in makers:
        raise NotImplementedError(f"DenseNetwork: a {operator.kind} is not supported.")
    function = makers[type(operator)](operator)
    return lambda x: function(tf.reshape(x, (-1, *operator.input_shape)))


# The network


class DenseNetwork:
    """
    A converted network of ASN neurons, driven by constant images, in dense TensorFlow.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    m_f : float
        Precision of all neurons.
    schedule : {"synchronous", "pipelined"}
    xla : bool
        Whether to compile the whole loop with XLA.
    """

    def __init__(self, graph, m_f=0.1, schedule="synchronous", xla=False):
        self.graph, self.m_f, self.schedule = graph, np.float32(m_f), schedule
        self.h = np.float32(spike_height(m_f))
        self.inputs = inputs_of(graph, "current")
        self._functions = {id(p): linear_function(p.operator) for p in graph.projections if is_used(p, self.inputs)}
        self._bias = {name: tf.constant(p.bias, tf.float32) for name, p in graph.populations.items()}
        self.spiking = [name for name, p in graph.populations.items() if p.kind == "spiking"]
        self._loop = tf.function(self._run, jit_compile=xla)

    def encode(self, images):
        """
        Return the constant current of the images into each population.

        Parameters
        ----------
        images : (n, H, W, C) ndarray

        Returns
        -------
        drives : dict of str to (n, H, W, C) tensor
        """
        found = image_currents(self.graph, self.inputs, images)
        return {name: tf.constant(values, tf.float32) for name, values in found.items()}

    def run(self, images, n_steps, record=False):
        """
        Run a batch of images from rest.

        Parameters
        ----------
        images : (n, H, W, C) ndarray
        n_steps : int
        record : bool
            Whether to return all spikes, which takes memory and time.

        Returns
        -------
        S : (n, n_steps, classes) ndarray
            Membrane of the first readout.
        counts : dict of str to (n,) ndarray
            Spikes of each spiking population.
        spikes : dict of str to (n, n_steps, H, W, C) ndarray of bool
            Empty unless recorded.
        """
        S, counts, spikes = self._loop(self.encode(images), n_steps, record)
        S = S.numpy()[:, :, 0, 0].swapaxes(0, 1)
        spikes = {name: np.moveaxis(value.numpy(), 0, 1) for name, value in spikes.items()}
        return S, {name: value.numpy() for name, value in counts.items()}, spikes

    def _initial_state(self, n):
        state = {}
        for name, population in self.graph.populations.items():
            found = self.inputs.get(name)
            if found is None:
                continue
            state[name] = {v: tf.zeros((n, *population.shape)) for v in state_variables(population, found)}
        return state

    def _run(self, drives, n_steps, record):
        n = next(iter(drives.values())).shape[0]
        state = self._initial_state(n)
        readout = tf.TensorArray(tf.float32, n_steps, element_shape=(None, *self.graph.readouts[0].shape))
        rasters = {
            name: tf.TensorArray(tf.bool, n_steps, element_shape=(None, *self.graph.populations[name].shape))
            for name in (self.spiking if record else ())
        }
        counts = {name: tf.zeros(n) for name in self.spiking}
        for step in tf.range(n_steps):
            state, S = self._step(state, drives)
            readout = readout.write(step, S)
            counts = {name: counts[name] + tf.reduce_sum(state[name]["spikes"], (1, 2, 3)) for name in self.spiking}
            rasters = {name: array.write(step, state[name]["spikes"] > 0) for name, array in rasters.items()}
        return readout.stack(), counts, {name: array.stack() for name, array in rasters.items()}

    def _step(self, state, drives):
        """Advance all populations by one step, in layer order."""
        new, potential, current = {}, {}, {}
        for name, population in self.graph.populations.items():
            found = self.inputs.get(name)
            if found is None:
                continue
            now = dict(state[name])
            spikes_of = new if self.schedule == "synchronous" else state
            terms = []
            if found.spikes:
                arriving = [self._functions[id(p)](spikes_of[p.source]["spikes"]) for p in found.spikes]
                arriving = [tf.reshape(a, tf.shape(now["I"])) for a in arriving]
                now["I"] = now["I"] * decay(TAU_BETA) + self.h * tf.add_n(arriving)
                terms.append(now["I"])
            terms += [
                tf.reshape(self._functions[id(p)](current[p.source]), (-1, *population.shape)) for p in found.current
            ]
            if name in drives:
                terms.append(drives[name])
            if population.kind == "junction":
                current[name] = tf.add_n(terms)
            else:
                membrane = [self._functions[id(p)](potential[p.source]) for p in found.membrane]
                potential[name] = self._neuron(population, now, terms, membrane)
            new[name] = now
        return new, potential[self.graph.readouts[0].name]

    def _neuron(self, population, now, terms, membrane):
        """Update the state of a population in place and return S."""
        if membrane:  # pooled: the potential of another population, which already includes the bias
            S = tf.reshape(tf.add_n(membrane), (-1, *population.shape))
        else:
            e = decay(TAU_READOUT if population.kind == "readout" else TAU_PHI)
            now["S_dyn"] = (1 - e) * tf.add_n(terms) + e * now["S_dyn"]
            S = now["S_dyn"]
        S = S + self._bias[population.name]
        if population.kind == "spiking":
            S_hat = now["S_hat"] * decay(TAU_ETA)
            theta = self.m_f + now["theta_dyn"]
            spikes = tf.cast(S - S_hat > theta / 2, tf.float32)
            now["S_hat"] = S_hat + theta * spikes
            now["theta_dyn"] = (now["theta_dyn"] + self.m_f * theta * spikes) * decay(TAU_GAMMA)
            now["spikes"] = spikes
        return S
