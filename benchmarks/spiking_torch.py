"""
The digit network in SpikingJelly (PyTorch on the CPU): a peer of digits.py, which runs it in a separate environment.

The adaptive spiking neuron is a `MemoryModule` with exactly the discrete map that brainsnn integrates, as SpikingJelly's
documentation recommends for custom neurons. Convolutions, pooling and linear layers are SpikingJelly's. "multi-step" runs a
layer over all steps before the next layer (its convolutions process steps x batch images at once), "step by step" runs all
layers in each step. Spikes act in the next layer within the same step (brainsnn's "synchronous" schedule). Everything runs
under `torch.no_grad`; with "torch.compile" the neuron's map is compiled. "Whole step, torch.compile" leaves SpikingJelly's
containers out: all layers of one step are one compiled function, the most that a framework on top of PyTorch can reach.

    python benchmarks/spiking_torch.py FOLDER REQUEST

FOLDER contains network.npz (`export`); REQUEST is JSON, as digits.py writes it. Needs only torch, spikingjelly and numpy.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np


def export(graph, images, m_f, folder):
    """
    Write a feed-forward graph of convolutions and the images to run as plain arrays.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
        A chain: each population gets one projection.
    images : (n, H, W, C) ndarray
    m_f : float
    folder : Path

    Raises
    ------
    NotImplementedError
        If the graph is not a chain of spiking populations that ends in a readout.
    """
    from _dense import pooled_factor

    from brainsnn.equations.transfer import spike_height

    names = [name for name, p in graph.populations.items() if p.kind != "input"]
    sources = [graph.input.name, *names[:-1]]
    chain = [(p.source, p.target) for p in graph.projections] == list(zip(sources, names))
    if not chain or {graph.populations[name].kind for name in names[:-1]} != {"spiking"}:
        raise NotImplementedError(
            "spiking_torch: the network must be a chain of spiking populations that ends in a readout."
        )
    arrays = {"names": names, "images": images, "m_f": m_f, "h": spike_height(m_f)}
    for name, projection in zip(names, graph.projections):
        operator = projection.operator
        p = pooled_factor(operator)
        arrays[f"{name}.pool"] = p
        arrays[f"{name}.kernel"] = (operator.kernel[::p, ::p] * p**2).astype(np.float32)
        arrays[f"{name}.pad"] = [-int(taps[0]) // p for taps in (operator.row_taps, operator.col_taps)]
        arrays[f"{name}.bias"] = np.broadcast_to(graph.populations[name].bias, operator.output_shape).astype(np.float32)
    np.savez(folder / "network.npz", **arrays)


def build(data):
    """
    Return the network as a SpikingJelly model.

    Parameters
    ----------
    data : mapping
        The arrays that `export` wrote.

    Returns
    -------
    model : torch.nn.Sequential
        From (T, n, C, H, W), or (n, C, H, W) in single-step mode, to the membrane of the readout.
    """
    import torch
    from spikingjelly.activation_based import layer

    asn, encoder, readout = neuron_maps(float(data["m_f"]))
    Node, modules = node_class(), []
    for k, name in enumerate(data["names"]):
        kernel, pool = data[f"{name}.kernel"], int(data[f"{name}.pool"])
        bias = data[f"{name}.bias"].transpose(2, 0, 1)
        if k > 0 and pool > 1:
            modules.append(layer.AvgPool2d(pool))
        if k == 0:
            assert kernel.size == 1 and kernel.item() == 1.0, "the first population reads the pixels one to one"
        elif bias.shape[1:] == (1, 1):
            modules += [layer.Flatten(), _linear(float(data["h"]) * kernel)]
            bias = bias.reshape(-1)
        else:
            modules.append(_convolution(float(data["h"]) * kernel, tuple(data[f"{name}.pad"])))
        map_ = encoder if k == 0 else readout if k == len(data["names"]) - 1 else asn
        modules.append(Node(map_, np.ascontiguousarray(bias)))
    return torch.nn.Sequential(*modules).eval()


def neuron_maps(m_f):
    """Return one-step maps (input and states -> output and states) of neuron, encoding population and readout."""
    phi, slow, beta, eta, gamma = (float(np.exp(-1.0 / tau)) for tau in (2.5, 50.0, 50.0, 50.0, 15.0))

    def asn(x, current, membrane, bias, told, adaptation):
        current = current * beta + x
        membrane = (1 - phi) * current + phi * membrane
        told = told * eta
        theta = m_f + adaptation
        spike = (membrane + bias - told > theta / 2).to(x.dtype)
        return spike, current, membrane, told + theta * spike, (adaptation + m_f * theta * spike) * gamma

    def encoder(x, current, membrane, bias, told, adaptation):
        """Map an image, which is a constant current without a synaptic filter."""
        membrane = (1 - phi) * x + phi * membrane
        told = told * eta
        theta = m_f + adaptation
        spike = (membrane + bias - told > theta / 2).to(x.dtype)
        return spike, current, membrane, told + theta * spike, (adaptation + m_f * theta * spike) * gamma

    def readout(x, current, membrane, bias, told, adaptation):
        current = current * beta + x
        membrane = (1 - slow) * current + slow * membrane
        return membrane + bias, current, membrane, told, adaptation

    return asn, encoder, readout


def node_class():
    """Return the SpikingJelly neuron class that iterates a map; defined here because only the worker can import torch."""
    import torch
    from spikingjelly.activation_based.base import MemoryModule

    class ASNNode(MemoryModule):
        def __init__(self, map_, bias):
            super().__init__()
            self.map = map_
            self.register_buffer("bias", torch.from_numpy(bias))
            for name in ("current", "membrane", "told", "adaptation"):
                self.register_memory(name, None)

        def materialize_states(self, inputs, states, step_mode):
            if states[0] is not None:
                return states
            x = inputs[0][0] if step_mode == "m" else inputs[0]
            return tuple(torch.zeros_like(x) for _ in states)

        def single_step_functional_forward(self, inputs, states, **kwargs):
            current, membrane, told, adaptation = states
            y, *states = self.map(inputs[0], current, membrane, self.bias, told, adaptation)
            return (y,), tuple(states)

    return ASNNode


def _linear(kernel):
    import torch
    from spikingjelly.activation_based import layer

    rows, columns, n_in, n_out = kernel.shape
    linear = layer.Linear(rows * columns * n_in, n_out, bias=False)
    linear.weight.data = torch.from_numpy(kernel.transpose(3, 2, 0, 1).reshape(n_out, -1).copy())
    return linear


def _convolution(kernel, padding):
    import torch
    from spikingjelly.activation_based import layer

    rows, columns, n_in, n_out = kernel.shape
    convolution = layer.Conv2d(n_in, n_out, (rows, columns), padding=padding, bias=False)
    convolution.weight.data = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
    return convolution


def run(model, images, n_steps, multi_step):
    """
    Run images from the resting state.

    Parameters
    ----------
    model : torch.nn.Sequential
    images : (n, C, H, W) tensor
    n_steps : int
    multi_step : bool

    Returns
    -------
    S : (n_steps, n, classes) tensor
    counts : list of (n,) tensor
        Spikes of each spiking population.
    outputs : list of (n_steps, n, C, H, W) tensor
        Spikes of each spiking population; empty unless multi-step.
    """
    import torch
    from spikingjelly.activation_based import functional

    nodes = [module for module in model if type(module).__name__ == "ASNNode"]
    functional.reset_net(model)
    functional.set_step_mode(model, "m" if multi_step else "s")
    counts, outputs = [0.0] * (len(nodes) - 1), []
    if multi_step:
        x = images.unsqueeze(0).expand(n_steps, *images.shape)
        for module in model:
            x = module(x)
            if module in nodes[:-1]:
                counts[len(outputs)] = x.sum(dim=(0, *range(2, x.ndim)))
                outputs.append(x)
        return x, counts, outputs
    steps = []
    for _ in range(n_steps):
        x, k = images, 0
        for module in model:
            x = module(x)
            if module in nodes[:-1]:
                counts[k] = counts[k] + x.sum(dim=tuple(range(1, x.ndim)))
                k += 1
        steps.append(x)
    return torch.stack(steps), counts, outputs


def _use_compiled_maps(model):
    import torch

    compiled = {}
    for module in model:
        if type(module).__name__ == "ASNNode":
            module.map = compiled.setdefault(module.map, torch.compile(module.map, dynamic=False))


def whole_step(model):
    """
    Return one step of all layers as a function, compiled as a whole.

    Returns
    -------
    step : callable
        From images and a list of states for each neuron layer to the readout and the new states.
    """
    import torch

    def step(images, states):
        """Run all layers once."""
        x, new = images, []
        for module in model:
            if type(module).__name__ == "ASNNode":
                current, membrane, told, adaptation = states[len(new)]
                x, *state = module.map(x, current, membrane, module.bias, told, adaptation)
                new.append(state)
            else:
                x = module(x)
        return x, new

    return torch.compile(step, dynamic=False)


def run_whole_steps(step, model, images, n_steps):
    """Run images from the resting state with `whole_step`; return the readout of all steps, (n_steps, n, classes)."""
    import torch

    states, x = [], images
    for module in model:  # the shape of each layer's state
        if type(module).__name__ == "ASNNode":
            states.append([torch.zeros_like(x) for _ in range(4)])
        else:
            x = module(x)
    found = []
    for _ in range(n_steps):
        x, states = step(images, states)
        found.append(x)
    return torch.stack(found)


def answers(data, images, request):
    """
    Run all images in batches of 64 in the fastest way.

    Returns
    -------
    found : dict
        ``ways``: seconds of one batch in each way; ``way``: the fastest; ``seconds`` and ``readouts``, (n, classes),
        after the last step, of all images in it.
    """
    from spikingjelly.activation_based import functional

    batch, n_steps = images[:64], request["steps"]
    models = {False: build(data), True: build(data)}
    _use_compiled_maps(models[True])
    ways = {
        _mode(compiled, multi_step): lambda x, n, m=models[compiled], s=multi_step: run(m, x, n, s)[0]
        for compiled in (False, True) for multi_step in (True, False)
    }  # fmt: skip
    plain = build(data)
    functional.set_step_mode(plain, "s")
    step = whole_step(plain)
    ways["whole step, torch.compile"] = lambda x, n: run_whole_steps(step, plain, x, n)
    taken = {}
    for way, run_way in ways.items():
        run_way(batch, 2)  # compiles
        start = time.perf_counter()
        run_way(batch, n_steps)
        taken[way] = time.perf_counter() - start
    way = min(taken, key=taken.get)
    start, readouts = time.perf_counter(), []
    for k in range(0, len(images), 64):
        readouts.append(ways[way](images[k : k + 64], n_steps)[-1])
    seconds = time.perf_counter() - start
    readouts = np.concatenate([readout.numpy() for readout in readouts])
    return {"ways": taken, "way": way, "seconds": seconds, "readouts": readouts.tolist()}


def worker(folder, request):
    """Print the times of all settings as JSON, or write spikes, as requested."""
    import torch

    torch.set_num_threads(request["threads"])
    torch.set_num_interop_threads(1)
    torch._dynamo.config.cache_size_limit = 64
    with np.load(folder / "network.npz") as file:
        data = dict(file)
    images = torch.from_numpy(data["images"].transpose(0, 3, 1, 2).astype(np.float32).copy())
    with torch.no_grad():
        if "check" in request:
            n, n_steps = request["check"]
            S, _, outputs = run(build(data), images[:n], n_steps, True)
            spikes = {
                name: np.packbits(
                    np.moveaxis(
                        (x if x.ndim == 5 else x[..., None, None]).numpy() > 0, (0, 1, 2, 3, 4), (1, 0, 4, 2, 3)
                    )
                )
                for name, x in zip(data["names"], outputs)
            }
            np.savez(folder / "torch_spikes.npz", S=S.numpy().swapaxes(0, 1), **spikes)
            found = []
        elif "answers" in request:
            found = answers(data, images, request["answers"])
        else:
            found = _scan(data, images, request)
    versions = f"spikingjelly {version('spikingjelly')}, torch {version('torch')}, Python {sys.version.split()[0]}"
    print(json.dumps({"versions": versions, "found": found}))


def _scan(data, images, request):
    """
    Time every setting at the fewest steps, and the fastest setting of each mode at the other numbers of steps.

    Returns a list of [number of steps, mode, batch, digits per second, CPU ms per digit].
    """
    models = {False: build(data), True: build(data)}
    _use_compiled_maps(models[True])
    fewest, *others = sorted(request["steps"])
    found, settings = [], []
    for compiled in (False, True):
        for multi_step in (True, False):
            for batch in request["batches"]:
                speed = _time(models[compiled], images[:batch], fewest, multi_step, request["repeats"])
                settings.append((speed[0], compiled, multi_step, batch))
                found.append([fewest, _mode(compiled, multi_step), batch, *speed])
    best = {}
    for _, compiled, multi_step, batch in sorted(settings):
        best[compiled, multi_step] = batch
    for n_steps in others:
        for (compiled, multi_step), batch in best.items():
            # A multi-step run stores the spikes of all steps, so a large batch would not fit into memory.
            batches = (
                [min(batch, request["largest"] // n_steps)] if multi_step else sorted({batch, request["batches"][1]})
            )
            for n in batches:
                speed = _time(models[compiled], images[:n], n_steps, multi_step, request["repeats"])
                found.append([n_steps, _mode(compiled, multi_step), n, *speed])
    return found


def _mode(compiled, multi_step):
    return f"{'multi-step' if multi_step else 'step by step'}{', torch.compile' if compiled else ''}"


def _time(model, images, n_steps, multi_step, repeats):
    """Return digits per second and CPU ms per digit, the best of the repeats."""
    run(model, images, 2, multi_step)  # compiles
    seconds, cpu = [], []
    for _ in range(repeats):
        start, cpu_start = time.perf_counter(), time.process_time()
        run(model, images, n_steps, multi_step)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    return len(images) / min(seconds), min(cpu) / len(images) * 1e3


if __name__ == "__main__":
    worker(Path(sys.argv[1]), json.loads(sys.argv[2]))
