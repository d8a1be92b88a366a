"""
A neuron of your own, with conductances
=======================================

Leaky integrate-and-fire neurons in physical units, whose excitatory and inhibitory synapses have reversal potentials, take
the place of those of the training. :download:`studies/custom_neuron.py </../studies/custom_neuron.py>` has adaptive
exponential ones.
"""

import brian2 as b2
import matplotlib.pyplot as plt
import numpy as np
from brian2 import ms, mV, nS

import brainsnn as bs
from brainsnn.analysis import PALETTE, accuracy_interval
from brainsnn.equations import transfer_function
from brainsnn.stimuli import load_digits

# %%
# Positive weights open one conductance, negative ones the other. An activation of 1 is 10 nS. Near the threshold the driving
# force of inhibition is smaller, for which the factor 1.3 makes up in part. 190 pA bring the neuron near its threshold.
equations = """
dv/dt = (10*nS*(-70*mV - v) + 190*pA + g*(0*mV - v) + 1.3*(g_i + clip(-bias, 0*nS, 1e9*nS))*(-90*mV - v))/(200*pF) : volt
g = g_e + clip(bias, 0*nS, 1e9*nS) : siemens
dg_e/dt = -g_e/(50*ms) : siemens
dg_i/dt = -g_i/(50*ms) : siemens
h : siemens
bias : siemens"""
# The synapse of the readout has the same name and equation, so that spikes carry the same activation to it.
readout = (
    "dg_e/dt = -g_e/(50*ms) : siemens\ndx/dt = (g_e - x)/(50*ms) : siemens\n"
    "S = (x + bias)/(10*nS) : 1\nbias : siemens"
)
readout = bs.NeuronModel(
    "readout", readout, receives="g_e", on_pre="g_e_post += w*h_pre", spike_height=None
)
neuron = bs.NeuronModel(
    "LIF with conductances", equations, threshold="v > -50*mV", reset="v = -60*mV", receives="g_e", parameters={"h": 1 * nS},
    on_pre="g_e_post += clip(w, 0, inf)*h_pre\ng_i_post += clip(-w, 0, inf)*h_pre", initial={"v": -70 * mV},
    input_unit=10 * nS, readout=readout,
)  # fmt: skip

# %%
# The output for constant inputs is measured in Brian2, and the height of spikes is fitted to the function of the training.
b2.prefs.codegen.target, inputs = "numpy", np.linspace(0, 2, 41)
cells = b2.NeuronGroup(
    41,
    neuron.equations,
    threshold="v > -50*mV",
    reset="v = -60*mV",
    method="euler",
    dt=0.5 * ms,
)
cells.v, cells.bias, spikes = -70 * mV, inputs * 10 * nS, b2.SpikeMonitor(cells)
b2.Network(cells, spikes).run(1300 * ms, namespace={})
b2.prefs.codegen.target = "auto"
late = np.bincount(spikes.i[spikes.t > 300 * ms], minlength=41)  # spikes per second
output, trained = 0.05 * late, transfer_function(inputs, 0.1)
neuron = neuron.edit(h=(height := output @ trained / (output @ output)) * 10 * nS)

# %%
# Twenty digits, without training again.
images, labels = (part[:20] for part in load_digits("test"))
result = bs.convert(bs.load_model("digits"), neuron, dt=0.5 * ms).run(images, 400 * ms)
correct = (result.output.argmax(axis=2) == labels[:, None]).sum(axis=0)
low, high = accuracy_interval(correct, 20)
figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3), layout="constrained")
left.plot(10 * inputs, trained, "k:", label="function of the training")
left.plot(10 * inputs, height * output, color=PALETTE[0], label="neuron")
left.set(xlabel="constant input (nS)", ylabel="activation")
left.legend(frameon=False, fontsize=8)
right.plot(result.times, 5 * correct, color=PALETTE[0])
right.fill_between(
    result.times, 100 * low, 100 * high, color=PALETTE[0], alpha=0.25, linewidth=0
)
right.set(xlabel="time (ms)", ylabel="correct (%)", xlim=(0, 400), ylim=(0, 103))
right.set_title("95% interval; illustration, n = 20 digits", fontsize=9)
