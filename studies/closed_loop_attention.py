"""Can a network direct its own attention? The target class of a search raises the gain where its evidence comes from.

The last population drives, through Brian2 synapses, a map of evidence for each class. The map of the target class drives an
attention map, which has its own differential equation and sets the input gain of earlier populations::

    dE/dt = -E/tau_beta                     evidence of a class at a place; a spike adds w*h
    dA/dt = (goal*clip(E, 0, inf) - A)/tau_A    attention
    F = 1 + A/(A + mean(A) + sigma)         a field between 1 and 2, as in the published model
    R = F/mean(F) - 1                       its modulation
    gain = 1 + strength*R                   of the earlier populations, interpolated

Without a goal R = 0 and attention has no effect, so all conditions run in the same compiled network.
"""

import numpy as np
from brian2 import NeuronGroup, StateMonitor, Synapses, ms
from claims import ALPHA, Claims, check_draws, paired_p
from common import ROOT, Study
from photographs import report_photographs

import brainsnn as bs
from brainsnn.analysis import (
    PALETTE,
    auc,
    bootstrap_draws,
    bootstrap_interval,
    required_images,
    style,
)
from brainsnn.stimuli import load_search_scenes

QUICK = {
    "n_scenes": 40,
    "m_f": 0.45,
    "strength": 0.5,
    "tau_ms": 50,
    "sigma": 0.02,
    "duration_ms": 400,
    "n_resamples": 500,
    "controls": "yes",
}
FULL = QUICK | {"n_scenes": 2000, "duration_ms": 500, "n_resamples": 2000}
#: Populations whose gain the attention map sets, and the population that provides the evidence.
ATTENDED = ("stage2_block1_asn1", "stage2_block2_asn1")
SOURCE = "final_asn"
ONSET_MS, EVALUATION_MS, BACKGROUND = 100, 250, 0.3
#: A later start of the evaluation, as a control: the loop needs time to find the target.
LATE_MS = 325
#: Scenes of the figure.
N_SHOWN = 4
#: Controls that know nothing of the target: a benefit of theirs would not be one of finding it.
SHAM = ("wrong scene", "uniform")
#: The question, for which the number of scenes was computed; the other claims are corrected for their number.
MAIN = "closed loop - open loop"
N_OTHERS = 6
#: AUCs that differ by less are called equal.
MARGIN = 0.01
#: Standard deviation of the field of controls with a cue, as a fraction of the image.
CUE_WIDTH = 0.18

EVIDENCE = """
dE/dt = -E/tau_beta : 1                       # evidence of one class at one place
dA/dt = (goal*clip(E, 0, inf) - A)/tau_A : 1  # attention
goal : 1                                      # 1 for the target class of the search
"""
FIELD = """
F = 1 + A/(A + mean_A + sigma) : 1            # the field saturates between base 1 and peak 2
R = F*n_places/clip(sum_F, n_places, 2*n_places) - 1 : 1  # F over its mean; the sum is 0 only before the first step
A : 1
mean_A : 1
sum_F : 1
"""


def searching_neuron(m_f):
    """Return the ASN with a readout that has a goal for each class."""
    neuron = bs.ASN(m_f=m_f)
    readout = neuron.readout
    return neuron.edit(readout=readout.edit(equations=f"{readout.equations}\ngoal : 1", goal=0.0))


def interpolation(n_places, n_rows):
    """Return bilinear weights (n_rows, n_places) along one axis, constant beyond the outer places."""
    place = np.clip((np.arange(n_rows) + 0.5) / n_rows * n_places - 0.5, 0, n_places - 1)
    low = np.minimum(place.astype(int), max(n_places - 2, 0))
    weights = np.zeros((n_rows, n_places))
    weights[np.arange(n_rows), low] = 1 - (place - low)
    if n_places > 1:
        weights[np.arange(n_rows), low + 1] += place - low
    return weights


def connect(synapses, i, j, w=None):
    """Connect lists of neurons and set the weights."""
    synapses.connect(i=i.astype(int), j=j.astype(int))
    if w is not None:
        synapses.w = w
    return synapses


def close_the_loop(snn, model, parameters):
    """Add evidence, attention map and gain to a network; return the group of the attention map."""
    height, width, n_channels = snn.graph.populations[SOURCE].shape
    weights = model.get_layer("readout").get_weights()[0]
    n_places, n_classes = height * width, weights.shape[1]
    source, readout = snn.populations[SOURCE], snn.populations["readout"]
    constants = {"sigma": parameters.sigma, "n_places": n_places}
    namespace = {"tau_beta": 50 * ms, "tau_A": parameters.tau_ms * ms, **constants}
    evidence = NeuronGroup(
        n_places * n_classes,
        EVIDENCE,
        method="exponential_euler",
        clock=source.clock,
        namespace=namespace,
        name="evidence",
    )
    field = NeuronGroup(n_places, FIELD, clock=source.clock, namespace=namespace, name="attention_field")
    place, channel, digit = (a.ravel() for a in np.indices((n_places, n_channels, n_classes)))
    to_evidence = connect(
        Synapses(source, evidence, "w : 1", on_pre="E_post += w*h_pre", clock=source.clock, name="to_evidence"),
        place * n_channels + channel, place * n_classes + digit, weights[channel, digit],
    )  # fmt: skip
    place, digit = (a.ravel() for a in np.indices((n_places, n_classes)))
    goals = connect(
        Synapses(readout, evidence, "goal_post = goal_pre : 1 (summed)", clock=source.clock, name="goals"),
        digit, place * n_classes + digit,
    )  # fmt: skip
    to_field = connect(
        Synapses(evidence, field, "A_post = A_pre : 1 (summed)", clock=source.clock, name="to_field"),
        place * n_classes + digit, place,
    )  # fmt: skip
    everywhere, place = (a.ravel() for a in np.indices((n_places * n_classes, n_places)))
    to_mean = connect(
        Synapses(
            evidence, field, "mean_A_post = A_pre/n_places : 1 (summed)", namespace=constants,
            clock=source.clock, name="to_mean",
        ),
        everywhere, place,
    )  # fmt: skip
    here, there = (a.ravel() for a in np.indices((n_places, n_places)))
    normalise = connect(
        Synapses(
            field, field, "sum_F_post = F_pre : 1 (summed)",
            namespace=constants, clock=source.clock, name="normalise",
        ),
        here, there,
    )  # fmt: skip
    snn.network.add(evidence, field, to_evidence, goals, to_field, to_mean, normalise)
    for name in ATTENDED:
        snn.network.add(gain_synapses(snn, field, name, (height, width), parameters))
    return field


def gain_synapses(snn, field, name, size, parameters):
    """Return synapses from the attention map to the gain of a population, interpolated between places."""
    shape, target = snn.graph.populations[name].shape, snn.populations[name]
    maps = np.kron(interpolation(size[0], shape[0]), interpolation(size[1], shape[1]))  # (n_positions, n_places)
    position, place = np.nonzero(maps)
    channels = np.arange(shape[2])
    synapses = Synapses(
        field, target, "w : 1\ngain_post = w*(1 + strength*R_pre) : 1 (summed)",
        namespace={"strength": parameters.strength, "sigma": parameters.sigma, "n_places": size[0] * size[1]},
        clock=target.clock, name=f"gain_of_{target.name}",
    )  # fmt: skip
    return connect(
        synapses, np.repeat(place, len(channels)), (position[:, None] * len(channels) + channels).ravel(),
        np.repeat(maps[position, place], len(channels)),
    )  # fmt: skip


@bs.once
def searching_network(parameters, device):
    """Return the search network with its closed loop, and the monitor of the attention map."""
    model = bs.load_model(ROOT / "weights" / "search.keras")
    snn = bs.convert(model, neuron=searching_neuron(parameters.m_f), device=device)
    field = close_the_loop(snn, model, parameters)
    monitor = StateMonitor(field, "R", record=True, clock=field.clock, name="attention_map")
    snn.network.add(monitor)
    return snn, monitor


def search_for(scenes, goals, parameters, device, seed):
    """
    Run scenes, each with its goal (-1 for none).

    Return the score of each class (n, 10), that of a later window, and the attention map at the end (n, n_places).
    """
    snn, monitor = searching_network(parameters, device)
    late = np.zeros((len(scenes), 10))
    scores, maps = np.zeros((len(scenes), 10)), np.zeros((len(scenes), monitor.n_indices))
    for goal in np.unique(goals):
        chosen = np.flatnonzero(goals == goal)
        snn.set_parameters("readout", goal=np.zeros(10) if goal < 0 else np.eye(10)[goal])
        result = snn.run(
            scenes.images[chosen],
            duration=parameters.duration_ms * ms,
            seed=seed,
            onset=ONSET_MS * ms,
            background=BACKGROUND,
        )
        scores[chosen] = result.output[:, EVALUATION_MS:].mean(axis=1)
        late[chosen] = result.output[:, LATE_MS:].mean(axis=1)
        R = np.asarray(monitor.R[:]).reshape(-1, len(chosen), result.n_steps)
        maps[chosen] = R[:, :, EVALUATION_MS:].mean(axis=2).T
    return {"scores": scores, "late": late, "maps": maps}


@bs.once
def open_network(m_f, device):
    """Return the search network without the loop."""
    return bs.convert(bs.load_model(ROOT / "weights" / "search.keras"), neuron=bs.ASN(m_f=m_f), device=device)


def controlled(scenes, control, gain, parameters, device, seed):
    """
    Return the scores of scenes with gains that no search has found.

    ``oracle``: a cue at the target. ``wrong scene``: the cue of another scene. ``uniform``: one gain everywhere.
    """
    snn = open_network(parameters.m_f, device)
    snn.attend(None)
    for name in ATTENDED:
        snn.set_parameters(name, gain=gain if control == "uniform" else 1.0)
    if control != "uniform":
        cues = scenes.positions[:, 0] if control == "oracle" else np.roll(scenes.positions[:, 0], 1, axis=0)
        snn.attend(bs.SpatialAttention(cues, CUE_WIDTH, input_gain=parameters.strength), layers=ATTENDED)
    result = snn.run(
        scenes.images, duration=parameters.duration_ms * ms, seed=seed, onset=ONSET_MS * ms, background=BACKGROUND
    )
    return {"scores": result.output[:, EVALUATION_MS:].mean(axis=1), "late": result.output[:, LATE_MS:].mean(axis=1)}


def run_controls(study, scenes, found, size):
    """Return the scores of all controls; the uniform gain is that which the loop gives to the target on average."""
    rows, cols = (np.minimum((scenes.positions[:, 0, k] * size[k]).astype(int), size[k] - 1) for k in (0, 1))
    at_target = found["target"]["maps"].reshape(-1, *size)[np.arange(len(scenes)), rows, cols].mean()
    gain = float(1 + study.parameters.strength * at_target)
    return {
        control: study.unit(controlled, scenes, control, gain, study.parameters, study.device, study.seed)
        for control in study.progress(("oracle", "wrong scene", "uniform"), unit="control")
    }


def draw_absent(scenes, seed):
    """Draw for each scene a class that is not in it."""
    random = np.random.default_rng(seed)
    return np.array([random.choice(np.flatnonzero(labels == 0)) for labels in scenes.labels])


def distances(maps, places, size):
    """Return the distance between the peak of each map and a place, as a fraction of the image."""
    rows, cols = np.unravel_index(maps.argmax(axis=1), size)
    return np.hypot((rows + 0.5) / size[0] - places[:, 0], (cols + 0.5) / size[1] - places[:, 1])


def detection_auc(present, absent):
    """Return a function of scene indices, any number of them: the AUC of present classes against absent classes."""

    def statistic(index):
        return auc(np.r_[present[index], absent[index]], np.repeat([1, 0], len(index)))

    return statistic


def plot(scenes, found, size):
    """Plot scenes with the attention map of the target class of the search."""
    import matplotlib.pyplot as plt

    with style():
        figure, axes = plt.subplots(2, 4, figsize=(10, 5.4), layout="constrained")
        limit = max(np.abs(found[condition]["maps"][:N_SHOWN]).max() for condition in ("target", "distractor"))
        for column, k in enumerate(range(N_SHOWN)):
            for row, condition in enumerate(("target", "distractor")):
                ax, digit = axes[row, column], scenes.classes[k, row]
                field = bs.ArrayField(np.maximum(found[condition]["maps"][k] + 1, 0).reshape(size))
                field.plot(scenes.images[k], ax=ax, colorbar=column == 3, limit=limit)
                place = scenes.positions[k, row]
                ax.plot(place[1], place[0], "o", ms=26, mfc="none", mec=PALETTE[1], mew=1.5)
                ax.set(title=f"searching for {digit}", xlabel="", ylabel="", xticks=[], yticks=[])
    return figure


def main(argv=None):
    """Search for a class that is present, for one that is absent, and for none."""
    with Study("closed_loop_attention", __doc__, QUICK, FULL, argv, devices=("cpp_standalone",)) as study:
        parameters = study.parameters
        if parameters.controls not in ("yes", "no"):
            study.error(f"argument --controls: {parameters.controls!r}; choose yes or no")
        if parameters.duration_ms <= LATE_MS:
            study.error(
                f"argument --duration-ms: {parameters.duration_ms}; scenes are evaluated from {LATE_MS} ms on, give more"
            )
        check_draws(study, "n_resamples", N_OTHERS)
        if parameters.n_scenes < N_SHOWN:
            study.error(f"argument --n-scenes: {parameters.n_scenes}; give {N_SHOWN} or more")
        scenes = load_search_scenes(parameters.n_scenes, "test", seed=study.seed + 2)
        snn, _ = searching_network(parameters, study.device)
        size = snn.graph.populations[SOURCE].shape[:2]
        absent = draw_absent(scenes, study.seed)
        goals = {
            "none": np.full(len(scenes), -1), "target": scenes.targets, "distractor": scenes.classes[:, 1], "absent": absent,
        }  # fmt: skip
        found = {
            name: study.unit(search_for, scenes, goal, parameters, study.device, study.seed)
            for name, goal in study.progress(goals.items(), unit="condition")
        }
        study.figure(plot(scenes, found, size), "attention_maps", f"{N_SHOWN} of {len(scenes)} scenes")
        report(study, scenes, found, absent, size)
        controls = run_controls(study, scenes, found, size) if parameters.controls == "yes" else {}
        make_claims(study, scenes, found, controls, absent).report()


def report(study, scenes, found, absent, size):
    """Report the AUC with and without the loop, and the distance from the peak of the map to the target digit."""
    rows, everyone = [], np.arange(len(scenes))

    def add(name, statistic, text):
        value, low, high = bootstrap_interval(statistic, len(scenes), study.parameters.n_resamples, seed=study.seed)
        rows.append({"measure": name, "value": value, "low": low, "high": high})
        study.report(name, value, f"{text}: {value:.3f} [{low:.3f}, {high:.3f}]")

    areas = {
        "open loop": detection_auc(
            found["none"]["scores"][everyone, scenes.targets], found["none"]["scores"][everyone, absent]
        ),
        "closed loop": detection_auc(
            found["target"]["scores"][everyone, scenes.targets], found["absent"]["scores"][everyone, absent]
        ),
    }
    for name, statistic in areas.items():
        add(f"AUC {name}", statistic, f"AUC, {name}")
    add(
        "AUC difference",
        lambda index: areas["closed loop"](index) - areas["open loop"](index),
        "AUC, closed - open loop",
    )
    for name, place in (("target", scenes.positions[:, 0]), ("distractor", scenes.positions[:, 1])):
        found_at = distances(found[name]["maps"], place, size)
        add(
            f"distance {name}",
            lambda i, d=found_at: d[i].mean(),
            f"distance from the map's peak to the {name} searched for",
        )
    chance = distances(found["absent"]["maps"], scenes.positions[:, 0], size)
    add(
        "distance absent",
        lambda i: chance[i].mean(),
        "distance from the map's peak to the target, while searching for an absent class",
    )
    study.table(rows)


def make_claims(study, scenes, found, controls, absent):
    """
    Return what the loop and each control change against the open loop, and report how many scenes decide it.

    A cue of another scene and a uniform gain know nothing of the target: they should equal the open loop, and the loop should
    be better than they are.
    """
    n = len(scenes.targets)
    claims, everyone = Claims(study), np.arange(n)

    def area(values, other, window="scores"):
        """Return the AUC of present against absent classes."""
        return detection_auc(values[window][everyone, scenes.targets], other[window][everyone, absent])

    none = found["none"]
    opened, loop = area(none, none), area(found["target"], found["absent"])
    late = area(found["target"], found["absent"], "late"), area(none, none, "late")
    compared = {MAIN: (loop, opened), f"{MAIN}, late window": late}
    for name, values in controls.items():
        control = area(values, values)
        compared[f"control: {name} - open loop"] = control, opened
        if name in SHAM:
            compared[f"closed loop - control: {name}"] = loop, control
    changes = {f"AUC, {name}": lambda i, a=one, b=other: a(i) - b(i) for name, (one, other) in compared.items()}
    equal = {f"AUC, control: {name} - open loop" for name in SHAM}
    for name, change in changes.items():
        n_tests = 1 if name == f"AUC, {MAIN}" else len(changes) - 1
        effect, draws = change(everyone), bootstrap_draws(change, n, study.parameters.n_resamples)
        if name in equal:
            claims.equal(name, effect, draws, n, "paired bootstrap of scenes", MARGIN, n_tests=n_tests)
            continue
        claims.add(
            name, effect, draws, n, "paired bootstrap of scenes", paired_p(draws), 1, published=False, n_tests=n_tests
        )
        if effect and draws.std() > 0:
            needed = required_images(effect, draws.std(), n, alpha=ALPHA / n_tests)
            study.report(
                f"scenes needed: {name}", needed, f"scenes that decide '{name}' (power 0.8): {needed}, {n} were run"
            )
    report_photographs(study, changes, scenes.photographs)
    return claims


if __name__ == "__main__":
    main()
