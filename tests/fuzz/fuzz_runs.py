"""Random networks and runs: against dense simulators, and runs of one network against each other.

Building costs most, so that one network is run 10 to 30 times. `fuzz_relations` says what must be equal.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from fuzz_networks import Choices, Network, draw_images, draw_network
from fuzz_relations import RELATIONS
from fuzz_variants import VARIANTS
from hypothesis import strategies as st

from brainsnn.builders.devices.active_device import preferences

__all__ = ["Bench", "case"]

#: Runtime mode compiles each object for itself; without optimisation that takes half as long.
UNOPTIMISED = {"codegen.cpp.extra_compile_args_gcc": ["-w", "-O0", "-std=c++11"]}


@dataclass
class Bench:
    """
    A converted network, the arguments of a run of it, and the result.

    Attributes
    ----------
    network : Network
    snn : brainsnn.builders.spiking_network.SpikingNetwork
    trial : dict
        Arguments of ``run``, with one seed for each image.
    check : Check
        Counts the runs.
    rng : numpy.random.Generator
        For what a relation draws.
    base : brainsnn.Result
        What ``run(**trial)`` returns.
    """

    network: Network
    snn: Any
    trial: dict
    check: Any
    rng: np.random.Generator
    base: Any = None

    def __post_init__(self):
        self.weights = self.snn.learned_weights

    @property
    def n(self):
        return len(self.trial["seed"])

    @property
    def n_steps(self):
        return round(float(self.trial["duration"]) / self.snn.dt)

    @property
    def dt(self):
        return self.network.options["dt"]

    @property
    def spiking(self):
        return [name for name in self.snn.populations if self.snn.graph.populations[name].kind == "spiking"]

    def run(self, snn=None, **changes):
        """Run with arguments changed; weights that learn are set back before."""
        snn = self.snn if snn is None else snn
        snn.set_learned_weights(self.weights)
        self.check.runs += 1
        with preferences(UNOPTIMISED if snn.device == "runtime" else {}):
            return snn.run(**self.with_effect({**self.trial, **changes}))

    def with_effect(self, trial):
        """Return the arguments without those that are refused since they would have no effect."""
        replayed = "spikes" in trial and self.network.gate is None
        idle = {"images", "onset", "offset", "background"} if replayed else set()
        if not np.any(trial["onset"]) and trial["offset"] is None:
            idle.add("background")
        return {name: value for name, value in trial.items() if name not in idle}

    def of(self, images):
        """Return the arguments of some images."""
        per_image = {key: self.trial[key][images] for key in ("images", "seed", "spikes") if key in self.trial}
        times = {key: self.trial[key] for key in ("onset", "offset")}
        return {**per_image, **{key: t[images] if np.ndim(t) else t for key, t in times.items()}}

    def signs(self, result=None):
        """Return the signs of the input spikes of a result of this trial, (n, n_steps, H, W, C)."""
        result = self.base if result is None else result
        if "spikes" in self.trial:
            return result.raster("input") * self.trial["spikes"][:, : self.n_steps]
        return (result.raster("input") * np.sign(self.stimulus())).astype(np.int8)

    def stimulus(self):
        """Return the level of the input in each step, (n, n_steps, H, W, C)."""
        steps = np.arange(self.n_steps)
        on, off = (self.steps_of(key) for key in ("onset", "offset"))
        is_on = (steps >= on[:, None]) & (steps < off[:, None])
        levels = self.trial["images"][:, None], np.asarray(self.trial["background"], dtype=float)
        return np.where(is_on[..., None, None, None], *levels)

    def steps_of(self, key):
        """Return the step at which each image comes on or goes off, (n,)."""
        time = self.trial[key]
        steps = np.inf if time is None else np.rint(np.asarray(time) / self.snn.dt)
        return np.broadcast_to(steps, self.n)


def draw_trial(choose, network):
    """Draw the arguments of a run."""
    n, n_steps, dt = 2 if network.is_slow else choose([2, 3]), choose(range(14, 25)), network.options["dt"]
    images, rng = draw_images(choose, network, n), np.random.default_rng(choose(range(100)))
    trial = {"images": images, "duration": n_steps * dt, "seed": rng.integers(0, 2**32, n)}
    times = [0, 3, rng.integers(0, 6, n)]
    trial["onset"] = choose(times) * dt
    trial["offset"] = choose([None, None, n_steps // 2, n_steps // 2 + rng.integers(0, 6, n)])
    trial["offset"] = None if trial["offset"] is None else trial["offset"] * dt
    background = [0.0, 0.5, rng.random(images.shape[1:]), rng.random(images.shape[-1])]
    trial["background"] = choose(background)
    if trial["offset"] is None and not np.all(trial["onset"]):
        # Refused for an image alone that is always on, and zero times a background rounds a sum differently.
        trial["background"] = 0.0
    if network.draws_input and choose([False, False, True]):
        trial["spikes"] = rng.choice([-1, 0, 1], p=[0.1, 0.5, 0.4], size=(n, n_steps, *images.shape[1:]))
        if network.gate is not None:
            trial["spikes"] = (trial["spikes"] * np.sign(images)[:, None]).astype(np.int8)
    return trial


def case(draw, check):
    """Draw a network and a run of it, and check all relations that hold for them, and one other way to build it."""
    choose = Choices(draw(st.integers(0, 2**32 - 1)))
    network = draw_network(choose)
    trial = draw_trial(choose, network)
    rng = np.random.default_rng(choose(range(100)))
    wanted = choose([None, *VARIANTS])
    bench = None

    def build():
        nonlocal bench
        bench = Bench(network, network.convert(), trial, check, rng)
        bench.base = bench.run()

    if check("build", build) != "equal":
        return
    names = [name for name, relation in RELATIONS.items() if relation.holds(bench)]
    if network.is_slow:
        names = [str(name) for name in rng.permutation(names)[:6]]
    for name in names:
        check(name, lambda name=name: RELATIONS[name].compare(bench))
    if wanted is not None and VARIANTS[wanted].holds(bench):
        check(wanted, lambda: VARIANTS[wanted].compare(bench))
    check("again", lambda: RELATIONS["same seeds"].compare(bench))  # all relations have left the network as it was
