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
    n = found["feedback, open"]["correct"].shape[1]
    draws = {c: {k: resampled_means(v, n_resamples, seed) for k, v in own.items()} for c, own in found.items()}
    means = {c: {k: _means(v) for k, v in own.items()} for c, own in found.items()}
    for own in (*draws.values(), *means.values()):
        own["total"] = own["input"] + own["hidden"]
    test = "bootstrap of images and networks"

    def share(condition, other, part, source):
        return source[condition][part][..., -1] / source[other][part][..., -1] - 1

    def final(condition, other, source):
        return source[condition]["correct"][..., -1] - source[other]["correct"][..., -1]

    for gate in ("sticky", "dynamic", "graded", "contrast"):
        pair, part = (f"feedback, {gate}", "feedback, open"), "input"
        own = share(*pair, part, draws)
        claims.add(
            f"{gate} gate saves input spikes (share)",
            share(*pair, part, means),
            own,
            n,
            test,
            paired_p(own),
            -1,
        )
        own = final(*pair, draws)
        claims.equal(f"{gate} gate is as accurate as an open one", final(*pair, means), own, n, test, MARGIN)
    for variant in ("feedback", "plain"):
        for control in ("shuffled", "send-on-delta", "random"):
            pair = "feedback, sticky", f"{variant}, {control}"
            own = final(*pair, draws)
            claims.add(
                f"prediction is better than {control} ({variant} network), accuracy", final(*pair, means), own, n, test,
                paired_p(own), 1,
            )  # fmt: skip
            claims.equal(f"prediction equals {control} ({variant} network)", final(*pair, means), own, n, test, MARGIN)
    for other in ("plain, open", "narrow, open"):
        own, mean = (
            source["feedback, sticky"]["correct"][..., -1]
            - accuracy_at(
                source["feedback, sticky"]["total"][..., -1], source[other]["correct"], source[other]["total"]
            )
            for source in (draws, means)
        )
        claims.add(
            f"with all spikes counted, the sticky gate is more accurate than the {other.split(',')[0]} network", float(mean),
            own, n, test, paired_p(own), 1,
        )  # fmt: skip
    for row in contrast.to_dict("records"):
        interval = (row["low"], row["high"])
        claims.add(
            f"contrast gains over sticky, half dimmed to {row['dimming']:g}",
            row["gain"],
            interval,
            n,
            test,
            row["p"],
            1,
        )
