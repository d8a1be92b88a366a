"""Conditions of the published attention protocol in a half of the scenes: strengths, and responses as a data set."""

import numpy as np
from attention_measures import strata_of
from attention_protocol import CHUNK, CUES, MECHANISMS, Condition, respond

from brainsnn.analysis import TargetAUC, bootstrap_draws, draw_interval


def constants_of(study):
    """Return what all units share."""
    parameters = study.parameters
    return {"graph": study.graph, "m_f": parameters.m_f, "device": study.device, "trial": study.trial}


def compute(study, half, other, conditions, name, over_time):
    """Compute responses of a half as a data set; return the values of each condition, in the given order."""
    k = np.arange(len(half.targets)) % len(other.targets)
    images = {"images": half.images, "valid": half.valid, "invalid": half.invalid, "targets": half.targets,
              "other_valid": other.valid[k], "other_invalid": other.invalid[k]}  # fmt: skip
    dims = {"scores": "class", "output": ("time", "class"), "activity": "time", "potential": "time"}
    coords = {key: ("condition", [getattr(c, key) for c in conditions]) for key in Condition._fields}
    with study.sweep(
        respond, {"condition": conditions}, images, name=name, coords=coords | {"target": ("image", half.targets)},
        dims={key: value for key, value in dims.items() if over_time or key == "scores"},
        constants=constants_of(study) | {"over_time": over_time}, chunk=CHUNK, workers=study.workers,
    ) as data:  # fmt: skip
        return [
            {key: values.isel(condition=k).values for key, values in data.data_vars.items()}
            for k in range(len(conditions))
        ]


def search_strengths(study, name=""):
    """Return the AUC at each strength with intervals (first half, valid cue), the best strengths, and neutral scores."""
    half, rows, best = study.first, [], {}
    conditions = [
        Condition(),
        *(Condition(m, "valid", a) for m in MECHANISMS for a in dict.fromkeys(study.parameters.strengths)),
    ]
    found = compute(study, half, study.second, conditions, f"{name}strengths", over_time=False)
    for condition, values in zip(conditions, found):
        statistic, n = TargetAUC(values["scores"], half.targets), len(half.targets)
        low, high = draw_interval(
            bootstrap_draws(statistic, n, study.parameters.n_draws, strata=strata_of(half.targets))
        )
        row = {
            "strength": condition.strength,
            "auc": statistic(),
            "low": low,
            "high": high,
            "rate_hz": values["rates"].mean(),
        }
        rows += [{"mechanism": m} | row for m in MECHANISMS if condition.mechanism in (m, "neutral")]
    rows.sort(key=lambda row: (MECHANISMS.index(row["mechanism"]), row["strength"]))
    for mechanism in MECHANISMS:
        tried = [row for row in rows if row["mechanism"] == mechanism and row["strength"]]
        best[mechanism] = max(tried, key=lambda row: row["auc"])["strength"]
    return study.table(rows, f"{name}strengths"), best, found[0]["scores"]


def conditions_of(strengths, cues="own"):
    """Return valid and invalid cues for each mechanism at its strength."""
    return [Condition(m, cue, strengths[m], cues) for m in MECHANISMS for cue in CUES]
