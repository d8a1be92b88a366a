"""Curves, intervals and claims of the study of gates; images and trained networks are resampled together."""

import numpy as np
from claims import paired_p
from figures import share_interval

from brainsnn.analysis import draw_interval

__all__ = ["accuracy_at", "accuracy_bounds", "contrast_rows", "control_claims", "curve_rows", "resampled_means"]

#: Accuracies that differ by less are called equal.
MARGIN = 0.01
PARTS = ("input", "hidden")


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


def contrast_rows(correct, dimming, n_resamples, seed):
    """Return a row for each dimming: accuracy of each gate, and the gain of contrast over sticky with its interval."""
    rows = []
    for k, factor in enumerate(dimming):
        opened, sticky, contrast = correct[k].astype(float)
        draws = resampled_means(contrast - sticky, n_resamples, seed)
        low, high = draw_interval(draws)
        if (
            contrast == sticky
        ).all():  # rule of three (Hanley and Lippman-Hand 1983, JAMA 249): no image differs among n
            low, high = -3 / correct.shape[3], 3 / correct.shape[3]
        own = {"open": opened, "sticky": sticky, "contrast": contrast}
        bounds = {name: accuracy_bounds(values, n_resamples, seed) for name, values in own.items()}
        rows.append({
            "dimming": factor, **{name: values.mean() for name, values in own.items()},
            **{f"{name}_{end}": bound for name, both in bounds.items() for end, bound in zip(("low", "high"), both)},
            "gain": (contrast - sticky).mean(), "low": low, "high": high, "p": paired_p(draws),
            "n_images": correct.shape[3], "n_networks": correct.shape[2],
        })  # fmt: skip
    return rows


TEST = "bootstrap of images and networks"


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
    n, compared = found["feedback, open"]["correct"].shape[1], _Compared(found, n_resamples, seed)
    for gate in ("sticky", "dynamic", "graded", "contrast"):
        pair = f"feedback, {gate}", "feedback, open"
        mean, draws = compared.saved(*pair, "input")
        claims.add(
            f"{gate} gate saves input spikes (share)", mean, draws, n, TEST, paired_p(draws), -1, published=False
        )
        claims.equal(f"{gate} gate is as accurate as an open one", *compared.accuracy(*pair), n, TEST, MARGIN)
    for variant in ("feedback", "plain"):
        for control in ("shuffled", "send-on-delta", "random"):
            mean, draws = compared.accuracy("feedback, sticky", f"{variant}, {control}")
            about = f"prediction is better than {control} ({variant} network), accuracy"
            claims.add(about, mean, draws, n, TEST, paired_p(draws), 1, published=False)
            claims.equal(f"prediction equals {control} ({variant} network)", mean, draws, n, TEST, MARGIN)
    for other in ("plain", "narrow"):
        mean, draws = compared.accuracy_for_equal_spikes("feedback, sticky", f"{other}, open")
        about = f"with all spikes counted, the sticky gate is more accurate than the {other} network"
        claims.add(about, float(mean), draws, n, TEST, paired_p(draws), 1, published=False)
    for row in contrast.to_dict("records"):
        about = f"contrast gains over sticky, half dimmed to {row['dimming']:g}"
        claims.add(about, row["gain"], (row["low"], row["high"]), n, TEST, row["p"], 1, published=False)
