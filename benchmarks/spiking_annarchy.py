"""
The digit network in ANNarchy (C++ on the processor): a peer of throughput.py, which runs it in a separate environment.

The neuron is the discrete map that brainsnn integrates. Convolutions and pooling become sparse matrices of one weight for each
connection, which ANNarchy reads only for neurons that spike; its own class for convolutions computes all of them in every
step (projection.py). A spike acts in the next step, as in brainsnn's "pipelined" schedule.

    python benchmarks/spiking_annarchy.py FOLDER REQUEST

FOLDER contains annarchy.npz (`export`); REQUEST is JSON, as throughput.py writes it. Needs only ANNarchy, SciPy and numpy.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from _dense import TAU_BETA, TAU_GAMMA, TAU_PHI, decay

#: Factors of a step. The time constants of synapses, of the estimate and of the readout are equal ("slow").
DECAY = {"phi": float(decay(TAU_PHI)), "slow": float(decay(TAU_BETA)), "gamma": float(decay(TAU_GAMMA))}

ENCODER = """
    S_hat = S_hat*slow
    adaptation = adaptation*gamma
    S = (1 - phi)*x + phi*S
    theta = m_f + adaptation
"""
NEURON = ENCODER.replace("(1 - phi)*x", "(1 - phi)*I").replace("S_hat =", "I = I*slow + g_exc\n    S_hat =", 1)
READOUT = """
    I = I*slow + g_exc
    S = (1 - slow)*I + slow*S
"""


def export(graph, images, m_f, folder):
    """Write the connections of a graph whose populations form a chain, and the images to run, as plain arrays."""
    from brainsnn.equations.transfer import spike_height

    names = [name for name, p in graph.populations.items() if p.kind != "input"]
    arrays = {"names": names, "images": images.reshape(len(images), -1), "m_f": m_f}
    for name, projection in zip(names, graph.projections):
        operator = projection.operator
        arrays[f"{name}.bias"] = np.broadcast_to(graph.populations[name].bias, operator.output_shape).ravel()
        arrays[f"{name}.size"] = operator.size_out
        if projection.source != graph.input.name:
            i, j, w = operator.to_coo()
            arrays |= {f"{name}.i": i, f"{name}.j": j, f"{name}.w": spike_height(m_f) * w}
    np.savez(folder / "annarchy.npz", **arrays)


def build(data, folder):
    """Return the compiled network and its populations, from the one that encodes images to the readout."""
    import ANNarchy as annarchy
    from scipy.sparse import csr_matrix

    constants = "\n".join(f"{name} = {value} : population" for name, value in DECAY.items())
    constants += f"\nm_f = {float(data['m_f'])} : population\nbias = 0.0\nx = 0.0\n"
    net = annarchy.Network(dt=1.0)
    net.config(dtype=annarchy.float32, num_threads=1)
    populations = []
    for name in data["names"]:
        is_first, is_last = name == data["names"][0], name == data["names"][-1]
        equations = ENCODER if is_first else READOUT if is_last else NEURON
        spiking = {"spike": "S > 1e30"} if is_last else {
            "spike": "S + bias - S_hat > theta/2", "reset": "S_hat += theta\nadaptation += m_f*theta",
        }  # fmt: skip
        neuron = annarchy.Neuron(parameters=constants, equations=equations, **spiking)
        populations.append(net.create(geometry=int(data[f"{name}.size"]), neuron=neuron, name=str(name)))
        if not is_first:
            source = populations[-2]
            shape = source.size, populations[-1].size
            weights = csr_matrix((data[f"{name}.w"], (data[f"{name}.i"], data[f"{name}.j"])), shape=shape)
            net.connect(source, populations[-1], target="exc").from_sparse(
                weights, storage_format="csr", storage_order="pre_to_post"
            )
    net.compile(directory=str(folder / "annarchy"), silent=True)
    return net, populations


def main(folder, request):
    """Print the seconds of all digits and their readouts after the last step as JSON."""
    with np.load(folder / "annarchy.npz") as file:
        data = dict(file)
    net, populations = build(data, folder)
    biases = [data[f"{name}.bias"] for name in data["names"]]
    images, readouts = data["images"][: request["n"]], []
    for image in [images[0], *images]:  # the first use is slow
        if len(readouts) == 1:
            started = time.perf_counter()
        net.reset()
        populations[0].x = image
        for population, bias in zip(populations, biases):
            population.bias = bias
        net.simulate(float(request["steps"]))
        readouts.append((np.asarray(populations[-1].S) + biases[-1]).tolist())
    print(json.dumps({"seconds": time.perf_counter() - started, "readouts": readouts[1:]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
