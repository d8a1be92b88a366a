"""Made-up responses of the study of attention, in which valid cues help, and invalid ones harm."""

import sys

import numpy as np
from locations import STUDIES

sys.path.insert(0, str(STUDIES))

import attention_measures as measures
import attention_protocol as protocol

__all__ = ["CONDITIONS", "responses"]

CONDITIONS = ["neutral", *(f"{m} {cue}" for m in protocol.MECHANISMS for cue in protocol.CUES)]


def responses(n=40, gain=0.3, seed=0):
    """Return `attention_measures.Responses` of n scenes; the cue of the first one is missed in all conditions."""
    random, targets = np.random.default_rng(seed), np.arange(n) % 4
    noise = random.random((n, 4))
    bumps = np.clip(np.arange(400) - 120, 0, 60) / 60
    found = {}
    for k, name in enumerate(CONDITIONS):
        help_ = 0 if k == 0 else gain * (1 if k % 2 else -1)
        late = 10 * help_
        activity = random.poisson(1 + (6 + 8 * help_) * np.clip(np.roll(bumps, int(-20 * help_)), 0, 1), (n, 400))
        found[name] = {
            "scores": noise + (0.3 + help_) * np.eye(4)[targets], "times": np.full(n, 300.0 - late) + random.normal(size=n),
            "rates": random.random(n), "output": np.repeat(noise[:, None], 400, axis=1), "activity": activity,
            "potential": 0.1 * activity.astype(float),
        }  # fmt: skip
        found[name]["times"][0] = np.nan
    scenes = protocol.Scenes(
        np.zeros((n, 2, 2, 1)), targets, np.eye(4)[targets], *np.zeros((2, n, 2)), np.tile(list("abcde"), n)[:n]
    )
    baselines = {name: random.poisson(1, (3, 400)) for name in found}
    return measures.Responses(found, scenes, 16, baselines, 60)
