"""Layers that run several steps before the next layer: every bit as step by step, whatever the network holds."""

import keras
import numpy as np
import pytest
from brian2 import (
    Hz,
    NeuronGroup,
    PoissonGroup,
    PopulationRateMonitor,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    ms,
    network_operation,
)
from example_models import MODEL_NAMES, example_images, example_models, spiking_names

import brainsnn as bs
from brainsnn.builders.devices.runtime.backend import RuntimeBackend
from brainsnn.builders.network.arrays import own_arrays
from brainsnn.builders.time_blocks import plan as plan_module
from brainsnn.builders.time_blocks.accesses import plan_codes
from brainsnn.training import preactivation_resnet
from brainsnn.training.asn_transfer import ASNTransfer
from brainsnn.training.predictive_vgg import predictive_vgg

N_STEPS = 40


@pytest.fixture(scope="module")
def models():
    return example_models(ASNTransfer)


@pytest.fixture(params=["runtime", "three threads", pytest.param("cpp_standalone", marks=pytest.mark.slow)])
def device(request):
    """Options of convert; whatever they are, they are compared with one thread."""
    return {"device": "runtime", "threads": 3} if request.param == "three threads" else {"device": request.param}


def everything(snn, images, monkeypatch, n_block, **options):
    """What two runs give and leave behind with blocks of so many steps."""
    monkeypatch.setattr(plan_module, "STEPS", n_block)
    snn.run(images[:1], 7 * ms, **options)
    result = snn.run(images, N_STEPS * ms, **options)
    found = {"output": result.output, **{f"{name} count": counts for name, counts in result.spike_counts.items()}}
    for name, states in result.states.items():
        found |= {f"{name} {what}": values for what, values in states.items()}
    own = {obj.name for obj in snn.network.sorted_objects} - snn.network.added
    for obj in snn.network.sorted_objects if isinstance(snn._backend, RuntimeBackend) else []:
        for name, variable in own_arrays(obj).items():
            values = np.array(variable.get_value())
            # What is behind the spikes in a list of them is left over from before.
            if obj.name in own:
                found[f"{obj.name}.{name} left"] = values[: values[-1]] if name == "_spikespace" else values
    return found


def assert_same(make, device, images, monkeypatch, **options):
    in_blocks = everything(make(**device), images, monkeypatch, 16, **options)
    step_by_step = everything(make(**device | {"threads": 1}), images, monkeypatch, 1, **options)
    assert step_by_step.keys() == in_blocks.keys()
    for name, values in step_by_step.items():
        np.testing.assert_array_equal(in_blocks[name], values, err_msg=name)
    return in_blocks


def blocks(snn):
    """Names of the objects in each block."""
    codes = [(obj, code) for obj in snn.network.sorted_objects if obj.active for code in obj.code_objects]
    return [{codes[k][0].name for k in block} for block in plan_codes(codes).blocks]


def block_of(snn, name):
    return next(block for block in blocks(snn) if any(each.startswith(name) for each in block))


def record(model):
    return {name: ["spikes", "S"] for name in spiking_names(model)}


@pytest.mark.parametrize("schedule", ["pipelined", "synchronous"])
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_every_model(models, device, name, schedule, monkeypatch):
    model = models[name]
    options = {"schedule": schedule, "record": record(model)}
    found = assert_same(lambda **each: bs.convert(model, **options, **each), device, example_images(model), monkeypatch)
    assert all(found[f"{layer} count"].any() for layer in spiking_names(model))


def test_each_layer_has_a_block_of_its_own(models):
    snn = bs.convert(models["plain_cnn"])
    snn.run(example_images(models["plain_cnn"], 1), 1 * ms)
    names = spiking_names(models["plain_cnn"])
    own = [block_of(snn, f"{name}_spike_thresholder") for name in names]
    assert all(not any(other in part for part in block) for name, block in zip(names, own) for other in names
               if other != name and f"{other}_to_{name}" not in block)  # fmt: skip
    assert len({frozenset(block) for block in own}) == len(names)


@pytest.mark.parametrize("mode", ["sticky", "dynamic"])
def test_a_prediction_that_gates_its_input_is_one_block(device, mode, monkeypatch):
    model = predictive_vgg(5, (8, 8, 1), 4, width=1 / 16, dense=(6,))
    rng = np.random.default_rng(3)
    for layer in model.layers:
        layer.set_weights([rng.normal(0.3, 0.5, w.shape) for w in layer.get_weights()])
    made = []

    def make(**options):
        gate = bs.PredictiveGate(output="prediction", epsilon=0.1, mode=mode)
        made.append(bs.convert(model, neuron=bs.IF(), feedback=gate, **options))
        return made[-1]

    assert_same(make, device, rng.random((2, 8, 8, 1)), monkeypatch, seed=3)
    if device["device"] == "runtime":
        assert block_of(made[-1], "input_spike") == block_of(made[-1], "prediction_spike")


def test_random_numbers_come_in_one_order(models, device, monkeypatch):
    """What draws shares a block, so that neither the numbers nor who gets them depend on the steps of a block."""
    membrane = "dS_dyn/dt = (gain*I - S_dyn)/tau_phi"
    noisy = bs.ASN().replace(f"{membrane} : 1", f"{membrane} + 0.1*xi/tau_phi**.5 : 1")
    model = models["plain_cnn"]
    first, *_, last = spiking_names(model)
    neuron = {first: noisy, last: noisy, ...: bs.ASN()}
    made = []

    def make(**options):
        made.append(bs.convert(model, neuron=neuron, encoder="poisson", record=record(model), **options))
        return made[-1]

    found = assert_same(make, device, example_images(model), monkeypatch, seed=5)
    other = made[-1].run(example_images(model), N_STEPS * ms, seed=6)
    assert (found[f"{last} count"] != other.spike_counts[last]).any()
    if device["device"] == "runtime":
        assert block_of(made[-1], f"{first}_spike_thresholder") == block_of(made[-1], f"{last}_spike_thresholder")


def test_refractory_neurons(models, device, monkeypatch):
    model = models["plain_cnn"]
    neuron = bs.ASN().edit(refractory=3 * ms)
    recorded = {spiking_names(model)[0]: ["spikes"]}
    assert_same(
        lambda **options: bs.convert(model, neuron=neuron, record=recorded, **options),
        device,
        example_images(model),
        monkeypatch,
    )


def test_objects_of_users(models, device, monkeypatch):
    """Own neurons that write a layer's parameter, and all kinds of monitors."""
    model = models["resnet"]
    names = spiking_names(model)
    monitors = []

    def make(**options):
        snn = bs.convert(model, record=record(model), **options)
        group = snn[names[1]]
        own = NeuronGroup(
            3, "dv/dt = (1 - v)/(10*ms) : 1", threshold="v > 0.5", reset="v = 0", clock=group.clock, method="exact"
        )
        noise = PoissonGroup(4, 200 * Hz, clock=group.clock)
        change = group.run_regularly("gain *= 1.001", clock=group.clock)
        monitors[:] = [
            SpikeMonitor(group), SpikeMonitor(own), SpikeMonitor(noise), PopulationRateMonitor(snn[names[2]]),
            StateMonitor(group, ["S", "gain"], record=[0, 1], clock=group.clock),
        ]  # fmt: skip
        snn.network.add(own, noise, change, *monitors)
        return snn

    recorded = []
    for n_block, options in ((1, device | {"threads": 1}), (16, device)):
        found = everything(make(**options), example_images(model, 1), monkeypatch, n_block)
        spikes, own, noise, rates, states = monitors
        assert own.num_spikes and noise.num_spikes
        recorded.append({
            **found, "i": spikes.i[:], "t": spikes.t[:], "own": own.t[:], "noise": noise.i[:], "rate": rates.rate[:],
            "S": states.S[:], "gain": states.gain[:], "times": states.t[:],
        })  # fmt: skip
    for name, values in recorded[0].items():
        np.testing.assert_array_equal(recorded[1][name], values, err_msg=name)


def test_monitors_of_a_part_in_which_nothing_spikes(models, device):
    """Brian2 then reads the number before the list of spikes."""
    model = models["plain_cnn"]
    snn = bs.convert(model, **device)
    clock = snn[spiking_names(model)[0]].clock
    group = NeuronGroup(40, "x : 1", threshold="i >= 20", clock=clock)
    spikes, rates, all_spikes = SpikeMonitor(group[:10]), PopulationRateMonitor(group[:10]), SpikeMonitor(group)
    snn.network.add(group, spikes, rates, all_spikes)
    snn.run(example_images(model, 1), N_STEPS * ms)
    assert all_spikes.num_spikes == 20 * N_STEPS
    assert spikes.num_spikes == len(spikes.i) == 0 and not rates.rate[:].any()


def test_synapses_need_brians_own_loop(models, device, monkeypatch):
    model = models["plain_cnn"]
    first, second = spiking_names(model)[:2]

    def make(**options):
        snn = bs.convert(model, record=record(model), **options)
        synapses = Synapses(snn[first], snn[second], on_pre="I_post += 0.1", delay=2 * ms, clock=snn[first].clock)
        synapses.connect(i=[0, 1, 2], j=[0, 1, 2])
        snn.network.add(synapses)
        return snn

    assert_same(make, device, example_images(model), monkeypatch)


@pytest.mark.parametrize("threads", [1, 2])
def test_runs_by_hand_of_any_length(models, threads):
    model = models["resnet"]
    images, names = example_images(model, 1), spiking_names(model)
    snn = bs.convert(model, threads=threads)
    left = []
    for durations in ((23,), (1, 16, 6), (7,) * 3 + (2,)):
        snn.run(images, 5 * ms)
        for duration in durations:
            snn.network.run(duration * ms)
        left.append([np.array(snn[name].S_hat) for name in names])
        assert snn.network.t / ms == pytest.approx(5 + sum(durations))
    for other in left[1:]:
        for one, same in zip(left[0], other):
            np.testing.assert_array_equal(one, same)


def test_objects_that_are_switched_off(models, device):
    """What is off sets nothing: the arrays that others read from it stay as they are."""
    model = models["plain_cnn"]
    images, names = example_images(model, 1), spiking_names(model)
    results = []
    for schedule in ("blocks", "steps"):
        snn = bs.convert(model, record=record(model), **device)
        snn.run(images, 5 * ms)
        snn[names[1]].thresholder["spike"].active = False
        snn[names[1]].state_updater.active = False
        if schedule == "steps" and device["device"] == "runtime":
            snn.network.add(network_operation(clock=snn[names[0]].clock)(lambda: None))
        results.append(snn.run(images, N_STEPS * ms))
    for name in names:
        np.testing.assert_array_equal(results[0].raster(name), results[1].raster(name))


@pytest.mark.slow
@pytest.mark.parametrize(("device_of", "threads"), [("runtime", 1), ("runtime", 2), ("cpp_standalone", 1)])
def test_a_resnet_of_750_steps(device_of, threads, monkeypatch):
    """Deep enough that every kind of block hands over its values some 750 times."""
    keras.utils.set_random_seed(0)
    model = preactivation_resnet(18, (64, 64, 3), n_classes=8)
    images = np.random.default_rng(0).random((1, 64, 64, 3))
    rasters = []
    for n_block, n_threads in ((1, 1), (16, threads)):
        monkeypatch.setattr(plan_module, "STEPS", n_block)
        snn = bs.convert(
            model, device=device_of, threads=n_threads, record={name: ["spikes"] for name in spiking_names(model)}
        )
        result = snn.run(images, 750 * ms)
        rasters.append([result.raster(name) for name in spiking_names(model)] + [result.output])
    assert all(raster.any() for raster in rasters[0])
    for one, other in zip(*rasters):
        np.testing.assert_array_equal(one, other)
