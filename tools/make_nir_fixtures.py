"""
Make the NIR files of tests/builders/from_nir/data with other libraries, each beside the spikes that the library itself fires.

``python tools/make_nir_fixtures.py snntorch norse spikingjelly`` and, in an environment of its own, ``... sinabs``, whose NIR is
an older one. Seeds are fixed. tests/builders/from_nir/data/README.md names the versions. This tool imports nothing of brainsnn.
"""

import sys
from pathlib import Path

import nir
import numpy as np
import torch
from torch import nn

FOLDER = Path(__file__).parents[1] / "tests" / "builders" / "from_nir" / "data"
N_TRIALS, N_STEPS = 2, 40


def random_input(shape):
    """Return spikes (N_TRIALS, N_STEPS, *shape) of -1, 0 and 1, more than half of them 1 where they are not 0."""
    drawn = torch.rand(N_TRIALS, N_STEPS, *shape)
    return torch.where(drawn < 0.35, 1.0, torch.where(drawn > 0.95, -1.0, 0.0))


def uniform(low, high, *shape):
    """Return random numbers of a shape."""
    return low + (high - low) * torch.rand(*shape)


def save(name, graph, inputs, layers):
    """Write a file and what the library fires: node -> (N_TRIALS, N_STEPS, ...)."""
    FOLDER.mkdir(exist_ok=True)
    nir.write(FOLDER / f"{name}.nir", graph)
    found = {}
    for layer, values in layers.items():
        values = np.stack([np.stack([step.detach().numpy() for step in trial]) for trial in values])
        is_spikes = np.isin(values, (0, 1)).all()
        found[layer] = values.astype(np.int8) if is_spikes else values
        print(f"{name}.{layer}: {values.shape}, mean {values.mean():.3f}", "spikes" if is_spikes else "values")
    np.savez_compressed(FOLDER / f"{name}.npz", input=inputs.numpy().astype(np.int8), **found)


def hooked(net, kinds, take=lambda output: output):
    """Collect in a dict what the modules of some classes return, in the steps of the last trial."""
    found = {name: [] for name, module in net.named_modules() if isinstance(module, kinds)}
    for name, module in net.named_modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda m, i, output, name=name: found[name].append(take(output)))
    return found


def trials(inputs, step, reset, found):
    """Run all trials step by step; return the values of each layer, for each trial."""
    layers = {}
    for trial in inputs:
        reset()
        for values in found.values():
            values.clear()
        for frame in trial:
            step(frame[None])
        for name, values in found.items():
            layers.setdefault(name, []).append([value[0] for value in values])
    return layers


def snntorch():
    """Networks of snnTorch: per-neuron parameters, synapses, a convolution, and recurrence."""
    import snntorch as snn
    from snntorch.export_nir import export_to_nir

    def leaky(*shape, **options):
        return snn.Leaky(uniform(0.6, 0.95, *shape), threshold=uniform(0.6, 1.2, *shape), init_hidden=True, **options)

    dense = nn.Sequential(
        nn.Linear(10, 16), leaky(16), nn.Linear(16, 5, bias=False), leaky(5, reset_mechanism="subtract")
    )
    synaptic = nn.Sequential(
        nn.Linear(10, 12),
        snn.Synaptic(uniform(0.5, 0.8, 12), uniform(0.6, 0.9, 12), threshold=uniform(1, 2, 12), init_hidden=True),
    )
    zero = nn.Sequential(nn.Linear(10, 16), leaky(16, reset_mechanism="zero"))
    convolution = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), leaky(4, 7, 7), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 6), leaky(6)
    )
    recurrent = nn.Sequential(
        nn.Linear(10, 8),
        snn.RLeaky(uniform(0.6, 0.9, 8), threshold=torch.ones(8), all_to_all=True, linear_features=8, init_hidden=True),
        nn.Linear(8, 3), leaky(3),
    )  # fmt: skip
    networks = {"dense": dense, "synaptic": synaptic, "zero": zero, "convolution": convolution, "recurrent": recurrent}
    for name, net in networks.items():
        with torch.no_grad():
            for module in net.modules():
                if isinstance(module, (nn.Linear, nn.Conv2d)):
                    module.weight *= 2
            inputs = random_input((2, 7, 7) if name == "convolution" else (10,))
            neurons = (snn.Leaky, snn.Synaptic, snn.RLeaky)

            def reset(net=net, neurons=neurons):
                for module in net.modules():
                    if isinstance(module, neurons):
                        module.reset_mem()

            reset()
            graph = export_to_nir(net, inputs[0, :1], ignore_dims=[0])
            layers = trials(inputs, net, reset, hooked(net, neurons))
        save(f"snntorch_{name}", graph, inputs, layers)


def norse():
    """Networks of Norse, whose exporter knows Linear and single neurons with parameters of their own."""
    from norse.torch import LIBoxCell, LIBoxParameters, LIFBoxCell, LIFBoxParameters, SequentialState
    from norse.torch.utils.export_nir import to_nir

    def lif(n):
        return LIFBoxCell(
            LIFBoxParameters(uniform(100, 400, n), v_leak=uniform(-0.1, 0.2, n), v_th=uniform(0.3, 0.6, n)), dt=1e-3
        )

    net = SequentialState(
        nn.Linear(10, 16), lif(16), nn.Linear(16, 8), lif(8), nn.Linear(8, 3),
        LIBoxCell(LIBoxParameters(uniform(50, 200, 3), v_leak=torch.zeros(3)), dt=1e-3),
    )  # fmt: skip
    inputs = random_input((10,))
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Linear):
                module.weight *= 4
        state = None

        def reset():
            nonlocal state
            state = None

        def step(frame):
            nonlocal state
            _, state = net(frame, state)

        # Norse multiplies 1/tau_mem_inv by this dt. With 1, the file holds seconds, as its own importer expects.
        graph = to_nir(net, inputs[0, 0], dt=1)
        layers = trials(inputs, step, reset, hooked(net, (LIFBoxCell, LIBoxCell), lambda output: output[0]))
    save("norse_dense", graph, inputs, layers)


def spikingjelly():
    """Networks of SpikingJelly: convolutions with LIF and IF, and a current-based neuron."""
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.nir_exchange.to_nir import export_to_nir

    convolution = nn.Sequential(
        layer.Conv2d(2, 4, (3, 2), stride=(1, 2), padding=(1, 1)), neuron.LIFNode(2.5, v_reset=-0.1, v_threshold=0.8),
        layer.AvgPool2d(2), layer.Flatten(), layer.Linear(24, 8), neuron.IFNode(1.1, v_reset=0.05),
        layer.Linear(8, 4, bias=False), neuron.LIFNode(3.0, decay_input=False, v_reset=0.0),
    )  # fmt: skip
    cuba = nn.Sequential(layer.Linear(10, 12), neuron.CUBALIFNode(c_decay=0.6, v_decay=0.8, v_threshold=1.5))
    for name, net in {"convolution": convolution, "cuba": cuba}.items():
        with torch.no_grad():
            for module in net.modules():
                if isinstance(module, (nn.Linear, nn.Conv2d)):
                    module.weight *= 3
            inputs = random_input((2, 6, 7) if name == "convolution" else (10,))
            graph = export_to_nir(net, inputs[0, :1])
            layers = trials(inputs, net, lambda net=net: functional.reset_net(net), hooked(net, neuron.BaseNode))
        save(f"spikingjelly_{name}", graph, inputs, layers)


def sinabs():
    """A network of sinabs: IAF, SumPool2d, LIF and a leaky integrator; soft reset, exact integration, steps of 1 s."""
    import sinabs.layers as sl
    from sinabs.activation import SingleSpike
    from sinabs.nir import to_nir

    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), sl.IAF(spike_threshold=1.3, spike_fn=SingleSpike), sl.SumPool2d(2),
        nn.Flatten(), nn.Linear(36, 8),
        sl.LIF(uniform(3, 20, 8), spike_threshold=uniform(0.2, 0.5, 8), spike_fn=SingleSpike),
        nn.Linear(8, 3), sl.ExpLeak(uniform(5, 20, 3), norm_input=True),  # else the file does not say it
    )  # fmt: skip
    inputs = random_input((2, 6, 6))
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                module.weight *= 3
        found = hooked(net, (sl.IAF, sl.LIF, sl.ExpLeak))
        # These layers want (batch, time, ...), the others (batch*time, ...): one step of one trial is both.
        for module in net.modules():
            if isinstance(module, (sl.IAF, sl.LIF, sl.ExpLeak)):
                module.forward = steps_of_one(module.forward)

        def reset():
            for module in net.modules():
                if isinstance(module, (sl.IAF, sl.LIF, sl.ExpLeak)):
                    module.reset_states()

        layers = trials(inputs, net, reset, found)
        graph = to_nir(net, inputs[0, :1])
        graph.infer_types()
    save("sinabs_convolution", graph, inputs, layers)


def steps_of_one(forward):
    """Give a layer of sinabs one step, and take its axis of time away again."""
    return lambda x: forward(x[:, None])[:, 0]


def main(names):
    """Make the files of some libraries."""
    for name in names:
        # The spikes of snnTorch and sinabs are float32 whatever the type of the network.
        torch.set_default_dtype(torch.float32 if name in ("snntorch", "sinabs") else torch.float64)
        torch.manual_seed(1)
        {"snntorch": snntorch, "norse": norse, "spikingjelly": spikingjelly, "sinabs": sinabs}[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
