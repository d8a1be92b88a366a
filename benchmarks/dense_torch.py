"""
A converted ASN network as dense PyTorch operations: the peer in cuda.py, on the same GPU.

Every step convolves the complete spike maps of all images. On a GPU one step is captured as a CUDA graph and replayed, so
that PyTorch starts all its kernels with one call; this is the fastest that PyTorch offers for many small kernels. Float32,
pipelined schedule: a spike of layer k acts in layer k+1 one step later. The graph gives weights, biases and drives, as in
dense_tensorflow.py.
"""

import numpy as np
import torch
import torch.nn.functional as F
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

__all__ = ["DenseNetwork"]


def _convolution(operator, device):
    """Return the function of (n, C, H, W) maps for a ConvOperator."""
    if operator.is_identity:
        return lambda x: x
    if operator.is_scale:
        factor = torch.tensor(operator.kernel.reshape(1, -1, 1, 1), dtype=torch.float32, device=device)
        return lambda x: x * factor
    plain = plain_convolution(operator)
    kernel = torch.tensor(plain.kernel.transpose(3, 2, 0, 1).copy(), dtype=torch.float32, device=device)
    around = [*plain.pads[1], *plain.pads[0]]

    def apply(x):
        if plain.pool > 1:
            x = F.avg_pool2d(x, plain.pool)
        x = x[:, :, plain.rows, plain.columns]
        return F.conv2d(F.pad(x, around) if any(around) else x, kernel, stride=tuple(plain.stride))

    return apply


def _maximum(operator):
    """Return the function of (n, C, H, W) maps for a MaxPool."""
    rows, columns = pooling_pads(operator)
    return lambda x: F.max_pool2d(
        F.pad(x, [*columns, *rows], value=-torch.inf), tuple(operator.pool), tuple(operator.stride)
    )


def linear_function(operator, device):
    """Return the PyTorch function of an operator of the graph; NotImplementedError if F.conv2d cannot compute it."""
    if isinstance(operator, OperatorChain):
        functions = [linear_function(part, device) for part in operator.operators]

        def chain(x):
            for function in functions:
                x = function(x)
            return x

        return chain
    if isinstance(operator, MaxPool):
        function = _maximum(operator)
    elif type(operator) is ConvOperator:
        function = _convolution(operator, device)
    else:
        raise NotImplementedError(f"DenseNetwork: a {operator.kind} is not supported.")
    height, width, channels = operator.input_shape
    # A flattened map is rows x columns x channels, as in Keras.
    return lambda x: function(x if x.shape[1:] == (channels, height, width) else _unflatten(x, height, width, channels))


def _unflatten(x, height, width, channels):
    rows_first = x.permute(0, 2, 3, 1).reshape(len(x), height, width, channels)
    return rows_first.permute(0, 3, 1, 2).contiguous()


class DenseNetwork:
    """
    A converted network of ASN neurons, driven by constant images, in dense PyTorch.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    images : (n, H, W, C) ndarray
    m_f : float
        Precision of all neurons.
    device : {"cuda", "cpu"}
    """

    def __init__(self, graph, images, m_f, device="cuda"):
        self.graph, self.m_f, self.device = graph, float(m_f), device
        self.h = float(spike_height(m_f))
        self.inputs = inputs_of(graph, "current")
        self.functions = {
            id(p): linear_function(p.operator, device) for p in graph.projections if is_used(p, self.inputs)
        }
        self.bias = {name: self._maps(np.asarray(p.bias, "f4")[None], p) for name, p in graph.populations.items()}
        currents = image_currents(graph, self.inputs, images)
        self.drives = {name: self._maps(values) for name, values in currents.items()}
        self.spiking = [name for name, p in graph.populations.items() if p.kind == "spiking" and name in self.inputs]
        self.state, n = {}, len(images)
        for name, population in graph.populations.items():
            found = self.inputs.get(name)
            if found is None:
                continue
            height, width, channels = population.shape
            counted = ["count"] if population.kind == "spiking" else []
            for variable in (*state_variables(population, found), *counted):
                self.state[name, variable] = torch.zeros((n, channels, height, width), device=device)
        self.output = torch.zeros((n, graph.readouts[0].shape[-1]), device=device)
        self._captured = self._capture() if device == "cuda" else None

    def _maps(self, values, population=None):
        """Return (n, C, H, W) maps of (n, H, W, C) values."""
        if population is not None:
            values = np.broadcast_to(values, (1, *population.shape))
        return torch.tensor(np.ascontiguousarray(values.transpose(0, 3, 1, 2)), dtype=torch.float32, device=self.device)

    def _capture(self):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream), torch.no_grad():
            for _ in range(3):
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured), torch.no_grad():
            self._step()
        return captured

    def run(self, n_steps):
        """
        Run all images from rest.

        Parameters
        ----------
        n_steps : int

        Returns
        -------
        S : (n, classes) ndarray
            Membrane of the first readout after the last step.
        counts : dict of str to (n,) ndarray
            Spikes of each spiking population.
        """
        for value in self.state.values():
            value.zero_()
        with torch.no_grad():
            for _ in range(n_steps):
                self._step() if self._captured is None else self._captured.replay()
        counts = {name: self.state[name, "count"].sum((1, 2, 3)).cpu().numpy() for name in self.spiking}
        return self.output.cpu().numpy(), counts

    def _step(self):
        """Advance all populations by one step, in layer order; spikes of this step act in the next."""
        spikes = {name: self.state[name, "spikes"].clone() for name in self.spiking}
        potential, current = {}, {}
        for name, population in self.graph.populations.items():
            found = self.inputs.get(name)
            if found is None:
                continue
            terms = []
            if found.spikes:
                current_now = self.state[name, "I"].mul_(float(decay(TAU_BETA)))
                for p in found.spikes:
                    current_now.add_(self._arriving(p, spikes[p.source], population), alpha=self.h)
                terms.append(current_now)
            terms += [self._arriving(p, current[p.source], population) for p in found.current]
            if name in self.drives:
                terms.append(self.drives[name])
            if population.kind == "junction":
                current[name] = sum(terms)
                continue
            if found.membrane:  # pooled: the potential of another population, which already includes the bias
                S = sum(self._arriving(p, potential[p.source], population) for p in found.membrane)
            else:
                e = float(decay(TAU_READOUT if population.kind == "readout" else TAU_PHI))
                S = self.state[name, "S_dyn"].mul_(e).add_(sum(terms), alpha=1 - e)
            potential[name] = S = S + self.bias[name]
            if population.kind == "spiking":
                self._spike(name, S)
        self.output.copy_(potential[self.graph.readouts[0].name].flatten(1))

    def _arriving(self, projection, maps, population):
        height, width, channels = population.shape
        maps = self.functions[id(projection)](maps)
        return maps if maps.shape[1:] == (channels, height, width) else _unflatten(maps, height, width, channels)

    def _spike(self, name, S):
        S_hat, theta_dyn = self.state[name, "S_hat"], self.state[name, "theta_dyn"]
        S_hat.mul_(float(decay(TAU_ETA)))
        theta = theta_dyn + self.m_f
        spikes = (S - S_hat > theta / 2).float()
        jump = theta * spikes
        S_hat.add_(jump)
        theta_dyn.add_(jump, alpha=self.m_f).mul_(float(decay(TAU_GAMMA)))
        self.state[name, "spikes"].copy_(spikes)
        self.state[name, "count"].add_(spikes)
