"""
The transfer function of a neuron
=================================

Networks are trained with a formula for the mean output of an adaptive spiking neuron (Zambrano, Nusselder, Scholte, Bohte
2019, Front. Neurosci. 12:987). Do the neurons follow it? :download:`studies/adaptive_coding.py
</../studies/adaptive_coding.py>` asks this for more values and for changing signals.
"""

import brian2 as b2
import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.analysis import PALETTE
from brainsnn.equations import spike_height, transfer_function

# %%
# Neuron models are equations, so they run in Brian2 without a network: the bias is the constant input. Dots are neurons,
# lines the formula. The height of spikes is such that an input of 1 gives an output of 1. A neuron whose input is below half
# of its threshold is silent, and a coarse code has steps.
b2.prefs.codegen.target = "numpy"
inputs, seconds = np.linspace(0, 2, 41), 2.0
figure, (left, right) = plt.subplots(1, 2, figsize=(6.6, 2.9), layout="constrained")
for m_f, colour in ((0.05, PALETTE[0]), (0.2, PALETTE[2]), (0.6, PALETTE[1])):
    model = bs.ASN(m_f=m_f)
    neurons = b2.NeuronGroup(
        len(inputs), model.equations, threshold=model.threshold, reset=model.reset, method="exponential_euler",
        namespace=model.constants, dt=1 * b2.ms,
    )  # fmt: skip
    neurons.gain, neurons.m_f, neurons.h, neurons.bias = (
        1,
        m_f,
        spike_height(m_f),
        inputs,
    )
    spikes = b2.SpikeMonitor(neurons)
    b2.Network(neurons, spikes).run((0.3 + seconds) * b2.second, namespace={})
    late = np.asarray(spikes.t) >= 0.3
    rate = np.bincount(np.asarray(spikes.i)[late], minlength=len(inputs)) / seconds
    # A spike of height h decays with tau_beta, so its area is that of h/(1 - exp(-dt/tau_beta)) steps.
    output = rate * 1e-3 * spike_height(m_f) / (1 - np.exp(-1 / 50))
    left.plot(inputs, output, ".", markersize=4, color=colour, label=f"m_f = {m_f:g}")
    left.plot(inputs, transfer_function(inputs, m_f), color=colour, linewidth=1)
    right.plot(inputs, rate, color=colour)
b2.prefs.codegen.target = "auto"
left.set(xlabel="constant input", ylabel="mean output (activation)")
left.legend(frameon=False, fontsize=8)
right.set(xlabel="constant input", ylabel="firing rate (Hz)")
