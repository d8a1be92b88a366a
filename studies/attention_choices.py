"""What two choices of the published code change: how batch normalization is folded, and heights of spikes at m = 0."""

from attention_conditions import compute
from attention_measures import strata_of
from attention_protocol import Condition

from brainsnn.analysis import TargetAUC, bootstrap_draws, draw_interval

__all__ = ["FOLDINGS", "STRONGEST", "choices_table"]

#: Of batch normalization, ours first; see `brainsnn.read_keras`.
FOLDINGS = ("exact", "published")
#: Largest strength of the published search: precision comes down to m = 0, at which h is 0/0 in the published code.
STRONGEST = 0.75


def choices_table(study, responses):
    """Measure the second half with each choice, ours and the published one; write and print AUC and rate."""
    half, parameters, own = study.second, study.parameters, study.graph
    folded = {parameters.batch_norm: responses.found["neutral"]}
    (other,) = set(FOLDINGS) - set(folded)
    study.graph = study.graphs[other]
    (folded[other],) = compute(study, half, study.first, [Condition()], "batch_norm", over_time=False)
    study.graph = own
    conditions = [Condition("precision", "valid", STRONGEST, heights=heights) for heights in ("finite", "undefined")]
    found = compute(study, half, study.first, conditions, "heights", over_time=False)
    rows = [_row("batch normalization, neutral", name, folded[name], study) for name in FOLDINGS]
    names = ("h at m = 0.001", "published: 0/0")
    rows += [_row(f"height at m = 0, {conditions[0]}", name, values, study) for name, values in zip(names, found)]
    table = study.table(rows, "published_choices")
    print(table.to_string(index=False))
    return table


def _row(what, choice, values, study):
    """Return AUC with its interval, and the rate of the network."""
    targets = study.second.targets
    statistic = TargetAUC(values["scores"], targets)
    low, high = draw_interval(
        bootstrap_draws(statistic, len(targets), study.parameters.n_draws, strata=strata_of(targets))
    )
    rate = values["rates"].mean()
    return {"what": what, "choice": choice, "auc": statistic(), "low": low, "high": high, "network_rate_hz": rate}
