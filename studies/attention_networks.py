"""In how many networks, trained with different seeds, does output gain act more than input gain, and this more than precision?"""

import subprocess
import sys

import numpy as np
from attention_conditions import compute, conditions_of, search_strengths
from attention_protocol import CUES, MECHANISMS, ONSET_MS, Condition, read_network
from common import ROOT
from scipy.stats import binomtest

import brainsnn as bs
from brainsnn.analysis import TargetAUC, accuracy_interval, median_detection_time

__all__ = ["effects_of", "holds", "order_claims", "rank_orders", "trained_networks"]

#: Sign of valid - invalid that means a benefit.
SIGNS = {"auc": 1, "detection_ms": -1}
#: Chance that three effects come in one order.
CHANCE = 1 / 6


def trained_networks(study):
    """Return the files of all networks but the shipped one, which has seed 0; train those that do not exist yet."""
    parameters, folder = study.parameters, study.folder / "networks"
    folder.mkdir(exist_ok=True)
    # A network belongs to its seed and number of epochs.
    names = [f"search_post_{seed}_{parameters.training_epochs}_epochs" for seed in range(1, parameters.n_networks)]
    paths = [folder / f"{name}.keras" for name in names]
    for seed, path in enumerate(paths, 1):
        if not path.exists():
            print(f"training {path.name} ...", flush=True)
            command = [sys.executable, "-m", "brainsnn.training.train_search", "post_activation", "--seed", str(seed)]
            command += ["--epochs", str(parameters.training_epochs), "--out", str(path)]
            subprocess.run(command, check=True, cwd=ROOT)  # it prints a line for each epoch
    return paths


def effects_of(found, targets, end):
    """
    Return the effect of each cue, valid - invalid.

    Parameters
    ----------
    found : dict of str to dict of str to ndarray
        Condition -> ``scores`` and ``times`` of its scenes.
    targets : (n_scenes,) ndarray
    end : float
        Of the trial, in ms.

    Returns
    -------
    effects : dict of str to dict of str to float
        Measure -> mechanism -> effect on AUC, or on the median detection time with misses as censored.
    """

    def measured(measure, condition):
        if measure == "auc":
            return TargetAUC(found[condition]["scores"], targets)()
        return median_detection_time(found[condition]["times"], end) - ONSET_MS

    return {
        measure: {m: measured(measure, f"{m} {CUES[0]}") - measured(measure, f"{m} {CUES[1]}") for m in MECHANISMS}
        for measure in SIGNS
    }


def holds(measure, effects):
    """Return whether output gain acts more than input gain, and input gain more than precision; None if one is not known."""
    ordered = SIGNS[measure] * np.array([effects[m] for m in ("output_gain", "input_gain", "precision")])
    return bool((np.diff(ordered) < 0).all()) if np.isfinite(ordered).all() else None


def rank_orders(study, responses, strengths):
    """Compare the mechanisms in each network, at strengths searched for it; report how often the published order holds."""
    end, targets, rows = study.parameters.duration_ms, study.second.targets, []

    def add(seed, found, used):
        for measure, effects in effects_of(found, targets, end).items():
            best = {f"strength of {m}": used[m] for m in MECHANISMS}
            rows.append({"seed": seed, "measure": measure, **effects, "holds": holds(measure, effects), **best})

    add(0, responses.found, strengths)
    first = study.graph
    for seed, path in enumerate(trained_networks(study), 1):
        study.graph = read_network(bs.load_model(path), study.parameters.batch_norm)
        _, own, _ = search_strengths(study, f"network{seed}_")
        conditions = [Condition(), *conditions_of(own)]
        found = compute(study, study.second, study.first, conditions, f"network{seed}_conditions", over_time=False)
        add(seed, {c.name: values for c, values in zip(conditions, found)}, own)
    study.graph = first
    print(study.table(rows, "rank_order").to_string(index=False))
    order_claims(study, rows)


def order_claims(study, rows):
    """Report in how many networks the order holds, with Wilson's interval and the test against chance."""
    for measure in SIGNS:
        known = [row["holds"] for row in rows if row["measure"] == measure and row["holds"] is not None]
        if not known:
            study.report(f"order of {measure}", "not known in any network: fewer than half of the targets are detected")
            continue
        low, high = accuracy_interval(sum(known), len(known))
        p = binomtest(sum(known), len(known), CHANCE, alternative="greater").pvalue
        study.report(
            f"order of {measure}",
            f"output > input > precision in {sum(known)} of {len(known)} networks, share {sum(known) / len(known):.2f} "
            f"[{low:.2f}, {high:.2f}]; {CHANCE:.2f} by chance, binomial p = {p:.2g}",
        )
