"""
Where the time of a C++ standalone network goes: a profile by code object, measured by Brian2.

For each code object it prints the share of the time and the ns per neuron and step; for projections, the ns per spike and per
connection that a spike visits. The ResNet-18 is the one of resnet.py, with weights for a mean rate in Hz.

    python benchmarks/profiling.py [--networks digits resnet] [--rates 2 20] [--threads 1] [--steps 200] [--quick]
"""

import argparse

from _networks import DIGITS_M_F, RESNET_M_F, digits_graph, graph_of_rate, random_image, resnet
from _report import environment, table
from _work import spikes_per_step
from brian2 import Network, NeuronGroup, ms

#: What a code object does, according to the first of these words that its name contains.
KINDS = {
    "stateupdater": "state updates", "thresholder": "state updates and thresholds", "resetter": "resets",
    "spikemonitor": "spike monitors", "_spikes_": "spike monitors", "_output_": "readout monitor",
    "_states_": "state monitors", "_update_": "every-step statements",
}  # fmt: skip


def profile(snn, images, n_steps):
    """
    Run a network with Brian2's profiling and return the times.

    Parameters
    ----------
    snn : `~brainsnn.builders.spiking_network.SpikingNetwork`
        For C++ standalone and not compiled yet; this compiles it with profiling.
    images : (n, H, W, C) ndarray
    n_steps : int

    Returns
    -------
    times : dict of str to float
        Code object -> ms per step, largest first.
    result : `~brainsnn.results.result.Result`
    """
    network = snn.network
    network.run_trial = lambda duration: Network.run(network, duration, namespace=network.scope, profile=True)
    result = snn.run(images, duration=n_steps * ms)
    lines = (snn._backend.directory / "run_0" / "results" / "profiling_info.txt").read_text().splitlines()
    pairs = sorted((line.split("\t") for line in lines), key=lambda pair: -float(pair[1]))
    return {name: float(seconds) * 1e3 / (n_steps * len(images)) for name, seconds in pairs}, result


def kinds(times, snn):
    """
    Sum the profile by kind of code object.

    Parameters
    ----------
    times : dict of str to float
        See `profile`.
    snn : `~brainsnn.builders.spiking_network.SpikingNetwork`

    Returns
    -------
    sums : dict of str to float
        Kind -> ms per step, largest first.
    members : dict of str to int
        Kind -> number of code objects.
    """
    class_of = {projection.name: type(projection).__name__ for projection in snn.projections}
    sums, members = {}, {}
    for name, value in times.items():
        owner = name.split("_codeobject")[0]
        kind = f"{class_of[owner]}s" if owner in class_of else "other"
        if kind == "other":
            kind = next((text for word, text in KINDS.items() if word in name), kind)
        sums[kind] = sums.get(kind, 0.0) + value
        members[kind] = members.get(kind, 0) + 1
    return dict(sorted(sums.items(), key=lambda item: -item[1])), members


def shares(times, snn, n_largest=3):
    """Return the largest kinds of code objects as text, such as "62% state updates and thresholds, 30% resets"."""
    sums, _ = kinds(times, snn)
    total = sum(sums.values())
    return ", ".join(f"{value / total:.0%} {kind}" for kind, value in list(sums.items())[:n_largest])


def largest(times, n_largest=3):
    """Return the code objects that take the most time as text, such as "block1_conv1_to_block1_conv2 21%"."""
    total = sum(times.values())
    found = sorted(times.items(), key=lambda item: -item[1])[:n_largest]
    return ", ".join(f"{name.split('_codeobject')[0]} {value / total:.0%}" for name, value in found)


def _counts(name, snn, rates):
    """Return the neurons that a code object updates per step, the spikes it delivers, and their connections, or None."""
    owner = name.split("_codeobject")[0]
    for projection in snn.projections:
        if projection.name == owner:
            operator = projection.operator
            layers = {group.name: layer for layer, group in snn.populations.items()}
            if not hasattr(projection, "on_pre"):
                return operator.size_out, None, None
            spikes = rates[layers[projection.source.name]]
            return None, spikes, spikes * operator.n_connections / operator.size_in
    groups = [obj for obj in snn.network.objects if isinstance(obj, NeuronGroup) and name.startswith(f"{obj.name}_")]
    if not groups or "_spikes_" in name or "monitor" in name or "resetter" in name:
        return None, None, None
    return len(max(groups, key=lambda group: len(group.name))), None, None


def profile_tables(times, snn, result, n_largest=None):
    """
    Format the profile of a network by kind and by code object, largest first.

    Parameters
    ----------
    times : dict of str to float
    snn : `~brainsnn.builders.spiking_network.SpikingNetwork`
    result : `~brainsnn.results.result.Result`
        Result of the same run.
    n_largest : int, optional
        How many code objects to show, all by default.

    Returns
    -------
    text : str
    """
    total, (sums, members), rates = sum(times.values()), kinds(times, snn), spikes_per_step(result)
    rows = [(kind, members[kind], f"{value:.4f}", f"{value / total:.1%}") for kind, value in sums.items()]
    rows.append(("all", len(times), f"{total:.4f}", "100.0%"))
    single = []
    for name, value in list(times.items())[:n_largest]:
        numbers = (f"{value * 1e6 / n:.3g}" if n else "-" for n in _counts(name, snn, rates))
        single.append((name, f"{value:.4f}", f"{value / total:.1%}", *numbers))
    headers = ("code object", "ms per step", "share", "ns per neuron", "ns per spike", "ns per synaptic event")
    return "\n\n".join([table(("kind", "number", "ms per step", "share"), rows), table(headers, single)])


def digits_profile(n_steps, threads):
    """Return times, network and result of the digit network."""
    import brainsnn as bs
    from brainsnn.stimuli import load_digits

    images, _ = load_digits("test")
    snn = bs.convert(digits_graph(), bs.ASN(m_f=DIGITS_M_F), device="cpp_standalone", threads=threads)
    times, result = profile(snn, images[:20], n_steps)
    return times, snn, result


def resnet_profile(rate, n_steps, threads, size):
    """Return times, network and result of the ResNet-18."""
    import brainsnn as bs

    image = random_image(size)
    graph = graph_of_rate(resnet(size), image, rate, n_steps, threads)
    snn = bs.convert(graph, bs.ASN(m_f=RESNET_M_F), device="cpp_standalone", threads=threads)
    times, result = profile(snn, image[None], n_steps)
    return times, snn, result


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description="Where the time goes, by Brian2 code object.")
    parser.add_argument("--networks", nargs="+", choices=("digits", "resnet"), default=["digits", "resnet"])
    parser.add_argument("--rates", type=float, nargs="+", default=[2.0, 20.0], help="mean rates of the ResNet-18 in Hz")
    parser.add_argument("--steps", type=int, default=None, help="steps of 1 ms (500)")
    parser.add_argument("--threads", type=int, default=1, help="OpenMP threads")
    parser.add_argument("--largest", type=int, default=None, help="show only that many code objects")
    parser.add_argument("--quick", action="store_true", help="a 64x64 image and few steps")
    args = parser.parse_args()
    n_steps = args.steps or (50 if args.quick else 500)
    print("\n".join(f"- {line}" for line in environment()))
    found = []
    if "digits" in args.networks:
        found.append(("Digit network", digits_profile(n_steps, args.threads)))
    if "resnet" in args.networks:
        size = 64 if args.quick else 224
        for rate in args.rates:
            title = f"ResNet-18, {size}x{size}, about {rate:g} Hz"
            found.append((title, resnet_profile(rate, n_steps, args.threads, size)))
    for title, (times, snn, result) in found:
        print(f"\n{title}: {n_steps} steps, mean rate {result.mean_firing_rate:.2f} Hz\n")
        print(profile_tables(times, snn, result, args.largest), flush=True)


if __name__ == "__main__":
    main()
