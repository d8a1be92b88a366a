"""Curves, intervals and claims of the study of gates; images and trained networks are resampled together."""

import numpy as np
from claims import difference_bounds, paired_p
from figures import share_interval

from brainsnn.analysis import draw_interval

__all__ = [
    "PAIRS",
    "accuracy_at",
    "accuracy_bounds",
    "contrast_rows",
    "control_claims",
    "curve_rows",
    "max_t_p",
    "resampled_means",
]

#: Accuracies that differ by less are called equal.
MARGIN = 0.01
PARTS = ("input", "hidden")
GATES = ("sticky", "dynamic", "graded", "contrast")
CONTROLS = ("shuffled", "send-on-delta", "random")
VARIANTS = ("feedback", "plain")
#: Claims about controls, which are tested together.
N_TESTS = len(VARIANTS) * len(CONTROLS)
#: Gates that are compared with dimmed digits, and the sign that is claimed of the difference of their accuracies.
PAIRS = {("contrast", "sticky"): 1, ("contrast", "open"): 1, ("sticky", "open"): -1}


def resampled_means(values, n_resamples, seed):
    """
    Return the mean over networks and images in bootstrap draws of both.

    Parameters
    ----------
    values : (n_networks, n_images, ...) ndarray
    n_resamples, seed : int
        Equal numbers give equal draws, so that differences between conditions are paired.

    Returns
    -------
    means : (n_resamples, ...) ndarray
    """
    n_networks, n_images = values.shape[:2]
    random = np.random.default_rng(seed)
    networks = random.multinomial(n_networks, np.full(n_networks, 1 / n_networks), n_resamples) / n_networks
    images = random.multinomial(n_images, np.full(n_images, 1 / n_images), n_resamples) / n_images
    return np.einsum("rm,ri,mi...->r...", networks, images, values.astype(float), optimize=True)


def accuracy_bounds(correct, n_resamples, seed):
    """
    Return the interval of an accuracy: Wilson's for one network, of bootstrap draws of images and networks for more.

    Parameters
    ----------
    correct : (n_networks, n_images, ...) ndarray of bool
    n_resamples, seed : int

    Returns
    -------
    low, high : (...,) ndarray
    """
    if len(correct) == 1:
        return share_interval(correct[0])[1:]
    return draw_interval(resampled_means(correct, n_resamples, seed))


def _means(values):
    return values.astype(float).mean(axis=(0, 1))


def curve_rows(found, n_resamples, seed):
    """Return a row for each condition and step: accuracy with its interval, and the spikes so far, on average per image."""
    rows = []
    for condition, measures in found.items():
        low, high = accuracy_bounds(measures["correct"], n_resamples, seed)
        accuracy, spikes = _means(measures["correct"]), {part: _means(measures[part]) for part in PARTS}
        for step in range(len(accuracy)):
            own = {part: values[step] for part, values in spikes.items()}
            rows.append({
                "condition": condition, "step": step, "accuracy": accuracy[step], "low": low[step], "high": high[step],
                **own, "total": sum(own.values()),
            })  # fmt: skip
    return rows


def accuracy_at(budget, accuracy, spikes):
    """
    Return the accuracy of a network when it has spent a number of spikes.

    Parameters
    ----------
    budget : (...,) ndarray
    accuracy, spikes : (..., n_steps) ndarray
        Accuracy and spikes so far at each step.

    Returns
    -------
    accuracy : (...,) ndarray
        Of the last step within the budget; 0 if the first step costs more.
    """
    steps = (spikes <= np.asarray(budget)[..., None]).sum(axis=-1) - 1
    reached = np.take_along_axis(accuracy, np.maximum(steps, 0)[..., None], axis=-1)[..., 0]
    return np.where(steps >= 0, reached, 0.0)


def max_t_p(effects, draws):
    """
    Return p-values of several effects that hold for all of them together (max-T of bootstrap draws).

    Parameters
    ----------
    effects : (k,) ndarray
    draws : (n_draws, k) ndarray
        Of the effects, in common draws.

    Returns
    -------
    p : (k,) ndarray
        1 where all draws are equal.

    References
    ----------
    Westfall, Young (1993), Resampling-based multiple testing.
    """
    spread, p = draws.std(axis=0), np.ones(len(effects))
    known = spread > 0
    largest = np.abs((draws - draws.mean(axis=0))[:, known] / spread[known]).max(axis=1, initial=0)
    reached = largest[:, None] >= np.abs(effects[known]) / spread[known]
    p[known] = (1 + reached.sum(axis=0)) / (1 + len(draws))
    return p


def contrast_rows(correct, dimming, n_resamples, seed):
    """
    Return a row for each dimming: accuracies and their differences, with intervals, and p corrected over the dimmings.

    Parameters
    ----------
    correct : (n_dimmings, 3, n_networks, n_images) ndarray of bool
        With the open gate, the sticky one, and the sticky one with contrast.
    dimming : list of float
    n_resamples, seed : int

    Returns
    -------
    rows : list of dict
        For each pair of `PAIRS`, such as ``"contrast - sticky"``, also ``" low"``, ``" high"`` and ``" p"``.
    """
    n_images, own = (
        correct.shape[3],
        dict(zip(("open", "sticky", "contrast"), np.swapaxes(correct, 0, 1).astype(float))),
    )
    rows = [{"dimming": factor, "n_images": n_images, "n_networks": correct.shape[2]} for factor in dimming]
    for name, values in own.items():
        for row, own_values in zip(rows, values):
            low, high = accuracy_bounds(own_values.astype(bool), n_resamples, seed)
            row |= {name: own_values.mean(), f"{name}_low": low, f"{name}_high": high}
    for one, other in PAIRS:
        differences = own[one] - own[other]
        effects, name = differences.mean(axis=(1, 2)), f"{one} - {other}"
        draws = resampled_means(np.moveaxis(differences, 0, 2), n_resamples, seed)
        low, high = difference_bounds(effects, draws, n_images)
        for k, (row, p) in enumerate(zip(rows, max_t_p(effects, draws))):
            row |= {name: effects[k], f"{name} low": low[k], f"{name} high": high[k], f"{name} p": p}
    return rows


class _Compared:
    """Measures of all conditions at the last step: their means, and draws of these."""

    def __init__(self, found, n_resamples, seed):
        self.draws = {c: {k: resampled_means(v, n_resamples, seed) for k, v in own.items()} for c, own in found.items()}
        self.means = {c: {k: _means(v) for k, v in own.items()} for c, own in found.items()}
        for own in (*self.draws.values(), *self.means.values()):
            own["total"] = own["input"] + own["hidden"]

    def saved(self, condition, other, part):
        """Return the change of the spikes against another condition, as a share: mean and draws."""
        return [own[condition][part][..., -1] / own[other][part][..., -1] - 1 for own in (self.means, self.draws)]

    def budgets(self, condition, other, part):
        """Return the spikes of two conditions as words."""
        one, two = (self.means[c][part][..., -1] for c in (condition, other))
        return f"{one:,.0f} against {two:,.0f} {'spikes in all' if part == 'total' else f'{part} spikes'}"

    def accuracy(self, condition, other):
        """Return the difference of the accuracy to another condition: mean and draws."""
        return [own[condition]["correct"][..., -1] - own[other]["correct"][..., -1] for own in (self.means, self.draws)]

    def accuracy_for_equal_spikes(self, condition, other):
        """Return the difference of the accuracy to that of another condition after as many spikes: mean and draws."""
        return [
            own[condition]["correct"][..., -1]
            - accuracy_at(own[condition]["total"][..., -1], own[other]["correct"], own[other]["total"])
            for own in (self.means, self.draws)
        ]


def control_claims(claims, found, contrast, n_resamples, seed):
    """
    Add what the study claims: what gates save, and whether that is due to their prediction.

    Parameters
    ----------
    claims : `claims.Claims`
    found : dict of str to dict of str to (n_networks, n_images, n_steps) ndarray
        ``correct``, ``input`` and ``hidden`` of each condition.
    contrast : `~pandas.DataFrame`
        As of `contrast_rows`.
    n_resamples, seed : int
    """
    n_networks, n = found["feedback, open"]["correct"].shape[:2]
    test, compared = resampled(n, n_networks), _Compared(found, n_resamples, seed)

    def better(about, mean, draws, n_tests):
        """Claim that the first of two conditions is more accurate."""
        bounds, p = tuple(map(float, difference_bounds(mean, draws, n))), paired_p(draws)
        claims.add(about, mean, bounds, n, test, p, 1, published=False, n_tests=n_tests)

    for gate in GATES:
        pair = f"feedback, {gate}", "feedback, open"
        mean, draws = compared.saved(*pair, "input")
        about, p = f"{gate} gate saves input spikes (share)", paired_p(draws)
        claims.add(about, mean, draws, n, test, p, -1, published=False, n_tests=len(GATES))
        about = f"{gate} gate is as accurate as an open one"
        claims.equal(about, *compared.accuracy(*pair), n, test, MARGIN, n_tests=len(GATES))
    controls = [f"{variant}, {control}" for variant in VARIANTS for control in CONTROLS]
    for control in controls:
        mean, draws = compared.accuracy("feedback, sticky", control)
        budgets = " and ".join(compared.budgets("feedback, sticky", control, part) for part in ("input", "total"))
        better(f"sticky gate is more accurate than the control ({control}), with {budgets}", mean, draws, len(controls))
        about = f"sticky gate is as accurate as the control ({control})"
        claims.equal(about, mean, draws, n, test, MARGIN, n_tests=len(controls))
    for other in ("plain", "narrow"):
        mean, draws = compared.accuracy_for_equal_spikes("feedback, sticky", f"{other}, open")
        better(f"with all spikes counted, the sticky gate is more accurate than the {other} network", mean, draws, 2)
    for (one, other), sign in PAIRS.items():
        name = f"{one} - {other}"
        for row in contrast.to_dict("records"):
            about = (
                f"{one} is {'more' if sign > 0 else 'less'} accurate than {other}, half dimmed to {row['dimming']:g}"
            )
            claims.add(about, row[name], (row[f"{name} low"], row[f"{name} high"]), n,
                       f"{test}, max-T of {len(contrast)} dimmings", row[f"{name} p"], sign, published=False)  # fmt: skip


def resampled(n_images, n_networks):
    """Return the name of the test: what is drawn again and again, images alone if there is one network."""
    networks = f" and {n_networks} networks" if n_networks > 1 else ", 1 network"
    return f"bootstrap of {n_images} images{networks}"
