"""Photographs as the unit: effects in each of those from which scenes were cut, and what few photographs cannot decide."""

import numpy as np

from brainsnn.analysis import bootstrap_draws, draw_interval

__all__ = ["effect_row", "in_words", "output_effects", "report_photographs", "smallest_p"]

ALPHA = 0.05


def smallest_p(n):
    """Return the two-sided p of a sign-flip test when the effect has the same sign in all of n photographs."""
    return 2.0 ** (1 - n)


def output_effects(found, targets):
    """
    Return how cues change the output of the target: an effect that each scene has, also one that is alone in its photograph.

    An AUC compares scenes with each other, so a photograph with one scene has none.

    Parameters
    ----------
    found : dict of str to dict of str to ndarray
        Condition, such as ``"precision valid"``, to values with the ``scores`` of its scenes.
    targets : (n_scenes,) ndarray of int

    Returns
    -------
    effects : dict of str to callable
        Name to a function of an array of scene indices: the mean of valid - invalid.
    """

    def effect(mechanism):
        valid, invalid = (found[f"{mechanism} {cue}"]["scores"] for cue in ("valid", "invalid"))
        change = (valid - invalid)[np.arange(len(targets)), targets]
        return lambda index: float(change[index].mean())

    mechanisms = [name.removesuffix(" valid") for name in found if name.endswith(" valid")]
    return {f"output of the target, {name.replace('_', ' ')}": effect(name) for name in mechanisms}


def effect_row(effect, statistic, photographs, n_draws=500, strata=None):
    """
    Return an effect with intervals over scenes and over photographs, and how it differs between photographs.

    Parameters
    ----------
    effect : str
    statistic : callable
        Function of an array of scene indices.
    photographs : (n_scenes,) ndarray of str
        From which each scene was cut.
    n_draws : int, optional
        Bootstrap draws.
    strata : (n_scenes,) ndarray, optional
        Classes within which scenes are drawn.

    Returns
    -------
    row : dict
        ``value``; ``low_scenes``, ``high_scenes``: for other scenes of the same photographs; ``low_photographs``,
        ``high_photographs``: for other photographs, whole photographs are drawn; ``n_photographs`` in which it can be
        measured; ``same_sign``, the number of them in which it has the sign of ``value``; ``p_photographs``, exact
        sign-flip test of their effects (random flips for many).
    """
    n, names = len(photographs), np.unique(photographs)
    value = float(statistic(np.arange(n)))
    own = np.array([statistic(np.flatnonzero(photographs == name)) for name in names], dtype=float)
    own = own[np.isfinite(own)]
    scenes = draw_interval(bootstrap_draws(statistic, n, n_draws, strata=strata))
    clusters = draw_interval(bootstrap_draws(statistic, n, n_draws, clusters=photographs))
    return {
        "effect": effect, "value": value, "low_scenes": scenes[0], "high_scenes": scenes[1],
        "low_photographs": clusters[0], "high_photographs": clusters[1], "n_scenes": n, "n_photographs": len(own),
        "same_sign": int((np.sign(own) == np.sign(value)).sum()), "p_photographs": _sign_flip_p(own),
    }  # fmt: skip


def _sign_flip_p(values):
    """Return p of the mean of values under flips of their signs; NaN of fewer than two."""
    from scipy.stats import permutation_test

    if len(values) < 2:
        return float("nan")
    test = permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=9999, random_state=np.random.default_rng(0)
    )
    return float(test.pvalue)


def in_words(photographs):
    """
    Say what a number of photographs can decide.

    Parameters
    ----------
    photographs : (n_scenes,) ndarray of str

    Returns
    -------
    text : str
    """
    names = np.unique(photographs)
    n, needed = len(names), next(k for k in range(1, 100) if smallest_p(k) < ALPHA)
    scenes = f"{len(photographs)} scenes are cut from {n} photograph{'s' if n > 1 else ''}"
    if n == len(photographs) and n >= needed:
        return f"{scenes}, one each. Intervals over photographs and over scenes say the same, and hold for other photographs."
    if n >= needed:
        return (
            f"{scenes}. Intervals over photographs hold for other photographs of this kind; those over scenes for other scenes "
            "of the same photographs."
        )
    if n == 1:
        return (
            f"{scenes} ({names[0]}): what holds for others cannot be said; intervals are of other scenes of this one."
        )
    return (
        f"{scenes} ({', '.join(names)}), and digits and places differ between them. With the photograph as the unit, an effect "
        f"of the same sign in all {n} has p = {smallest_p(n):g} (exact sign-flip test), and {needed} photographs are the fewest "
        f"that can reach p < {ALPHA:g}. So {n} cannot decide whether any effect holds for other photographs, nor by how much "
        "effects differ between photographs: intervals over scenes hold for other scenes of these photographs alone, and an "
        f"interval that draws {n} photographs is too narrow."
    )


def _by_photograph(row, photographs):
    """Return in how many photographs an effect has the same sign, and p over them, in words where it is not defined."""
    n, n_all = row["n_photographs"], len(np.unique(photographs))
    if n == 0:
        why = "one scene per photograph" if n_all == len(photographs) else "too few scenes in each photograph"
        return f"not defined: {why}", "not defined"
    known = f"{n}" if n == n_all else f"the {n} of {n_all} where it is defined"
    p = row["p_photographs"]
    return f"{row['same_sign']} of {known}", f"{p:.3g}" if np.isfinite(p) else "not defined"


def report_photographs(study, effects, photographs, n_draws=500, strata=None):
    """
    Write effects by photograph as ``photographs.csv`` and ``photographs.md``, and print what cannot be concluded.

    Parameters
    ----------
    study : `common.Study`
    effects : dict of str to callable
        Name to a function of an array of scene indices.
    photographs : (n_scenes,) ndarray of str
    n_draws : int, optional
    strata : dict of str to ndarray, optional
        Name of an effect to the classes within which its scenes are drawn, so that its interval is that of its claim.
    """
    drawn = strata or {}
    rows = [effect_row(name, own, photographs, n_draws, drawn.get(name)) for name, own in effects.items()]
    study.table(rows, "photographs")
    columns = ("effect", "value", "95 % over scenes", "95 % over photographs", "same sign in", "p over photographs")
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row in rows:
        intervals = [f"{row[f'low_{unit}']:+.3g} to {row[f'high_{unit}']:+.3g}" for unit in ("scenes", "photographs")]
        cells = [row["effect"], f"{row['value']:+.3g}", *intervals, *_by_photograph(row, photographs)]
        lines.append(f"| {' | '.join(cells)} |")
    text = in_words(photographs)
    study.text("\n".join([text, "", *lines, ""]), "photographs.md")
    print("\n".join(lines))
    study.report("photographs", text)
