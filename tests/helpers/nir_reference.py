"""A NIR graph in plain NumPy: step by step, channels first, written from NIR's definitions with loops over windows."""

import numpy as np


def run(nodes, edges, inputs, convention):
    """
    Return what each node sends in each step: node -> (n_steps, ...).

    `nodes`: name -> (type, fields); `inputs`: (n_steps, ...). Nodes must be in an order in which sources come first, but for
    loops, which act one step later.
    """
    order, state, last = list(nodes), {}, {}
    sources = {name: [a for a, b in edges if b == name] for name in nodes}
    sent = {name: [] for name in nodes}
    for frame in inputs:
        now = {}
        for name in order:
            kind, fields = nodes[name]
            if kind == "Input":
                now[name] = frame.astype(float)
                continue
            arriving = [now.get(source, last.get(source)) for source in sources[name]]
            total = sum(values for values in arriving if values is not None)
            now[name] = (
                LINEAR[kind](total, **fields) if kind in LINEAR else step(kind, fields, state, name, total, convention)
            )
        last = now
        for name, values in now.items():
            sent[name].append(values)
    return {name: np.array(values) for name, values in sent.items()}


def toward(value, target, tau, convention):
    """One step of a decay to a target that stays the same during the step."""
    dt = convention.dt
    return (
        value + dt / tau * (target - value)
        if convention.integration == "euler"
        else target + (value - target) * np.exp(-dt / tau)
    )


def step(kind, p, state, name, x, convention):
    """One step of neurons; returns spikes, or the membrane of integrators."""
    if kind == "Output":
        return x
    if kind == "Threshold":
        return fires(x, p["threshold"], convention)
    zero = np.zeros_like(x)
    v = state.get(name, p.get("v_reset", zero) if kind == "IF" else p.get("v_leak", zero)) + zero
    if kind in ("IF", "I"):
        v, kept = v + convention.dt * p["r"] * x, 1.0
    else:
        if kind in ("CubaLIF", "CubaLI"):
            x = state[name, "i"] = toward(state.get((name, "i"), zero), p["w_in"] * x, p["tau_syn"], convention)
        tau = p["tau_mem" if kind.startswith("Cuba") else "tau"]
        v = toward(v, p["v_leak"] + p["r"] * x, tau, convention)
        kept = 1 - convention.dt / tau if convention.integration == "euler" else np.exp(-convention.dt / tau)
    if kind in ("LI", "CubaLI", "I"):
        state[name] = v
        return v
    spikes = fires(v, p["v_threshold"], convention)
    after = {
        "value": np.where(spikes, p["v_reset"], v), "subtract": v - p["v_threshold"] * spikes,
        "subtract_next": v - p["v_threshold"] * spikes / kept,
    }  # fmt: skip
    state[name] = after[convention.reset]
    return spikes


def fires(v, threshold, convention):
    return (v > threshold if convention.condition == ">" else v >= threshold).astype(float)


def conv2d(x, weight, bias, stride, padding, dilation, groups, input_shape=None):
    """A convolution with loops over output pixels, as PyTorch defines it."""
    n_out, per_group, *size = weight.shape
    if isinstance(padding, str) and padding == "valid":
        padding = (0, 0)
    if isinstance(padding, str):
        total = [d * (k - 1) for d, k in zip(dilation, size)]
        pads = [(n // 2, n - n // 2) for n in total]
    else:
        pads = [(p, p) for p in padding]
    x = np.pad(x, [(0, 0), *pads])
    rows, cols = ((n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(x.shape[1:], dilation, size, stride))
    out = np.zeros((n_out, rows, cols)) + np.reshape(bias, (-1, 1, 1))
    for f in range(n_out):
        first = f // (n_out // groups) * per_group
        for r in range(rows):
            for c in range(cols):
                window = x[
                    first : first + per_group,
                    r * stride[0] : r * stride[0] + dilation[0] * (size[0] - 1) + 1 : dilation[0],
                    c * stride[1] : c * stride[1] + dilation[1] * (size[1] - 1) + 1 : dilation[1],
                ]
                out[f, r, c] += np.sum(window * weight[f])
    return out


def pool(x, kernel_size, stride, padding, factor):
    """Sums over windows, times a factor."""
    channels = len(x)
    weight = np.full((channels, 1, *kernel_size), factor)
    return conv2d(x, weight, 0.0, stride, padding, (1, 1), channels)


LINEAR = {
    "Linear": lambda x, weight: weight @ x,
    "Affine": lambda x, weight, bias: weight @ x + bias,
    "Conv2d": conv2d,
    "SumPool2d": lambda x, kernel_size, stride, padding: pool(x, kernel_size, stride, padding, 1.0),
    "AvgPool2d": lambda x, kernel_size, stride, padding: pool(
        x, kernel_size, stride, padding, 1 / np.prod(kernel_size)
    ),
    "Scale": lambda x, scale: x * scale,
    "Flatten": lambda x, start_dim=0, end_dim=-1, input_type=None: x.ravel(),
    "Delay": lambda x, delay: x,
}
