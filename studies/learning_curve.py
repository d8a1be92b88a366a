"""How far is the feedback network of few digits from one of full MNIST? Test errors against the number of training digits.

The published recipe with narrow layers is trained on 500 to 3,600 digits with as many updates for each number, so that only the
digits differ. A power law, ``error = exp(a)*n**-b``, is fitted to the errors and carried on to 60,000 digits, where the published
value stands. Its interval holds for other test images and other seeds *if the law holds*: with few sizes, a floor of the error
cannot be told from none. As a check, the error at the largest number is also predicted from the others.

The published network is wider: a value inside the interval makes it plausible that the digits explain the difference, and no
more.
"""

import matplotlib.pyplot as plt
import numpy as np
from claims import Claims, check_draws
from common import DEVICES, Study
from feedback_published import TRAINING_RATE, Run, load_network, measure
from feedback_report import LOGGED, LOGGED_ANN
from figures import band, bars, share_interval

import brainsnn as bs
from brainsnn.analysis import PALETTE, accuracy_interval, draw_interval, style
from brainsnn.stimuli import load_digits

QUICK = {
    "sizes": [500, 1000, 2000, 3600],
    "n_seeds": 1,
    "n_passes": 36_000,
    "width": 0.125,
    "stage": "ann",
    "n_draws": 200,
}
FULL = QUICK | {"n_seeds": 5, "n_passes": 90_000, "width": 0.25, "stage": "snn", "n_draws": 500}
STAGES = ("ann", "snn")
#: Digits of MNIST: training, and the tests of the published values.
N_MNIST, N_MNIST_TEST = 60_000, 10_000
#: The shipped 4,000 training digits, less those held out.
LARGEST = 3600
#: Epochs of the SNN, and the digits that each of them shows: as many updates for each number.
SNN_EPOCHS, SNN_IMAGES = 5, 1600
#: Error rates that differ by less are called equal.
MARGIN = 0.005
#: Claims of the law: its prediction, and its check.
N_TESTS = 2


def published(stage):
    """Return the published accuracy on full MNIST, of the network with feedback."""
    return (LOGGED_ANN["feedback"] if stage == "ann" else LOGGED["no blocking"][0]) / 100


def trained(study, n, seed):
    """Train the shipped network on n digits, or go on where an interrupted study stopped; return its file."""
    from brainsnn.training.train_predictive import main as train

    p = study.parameters
    name = f"feedback_{n}_digits_{p.n_passes}_passes_width{p.width:g}_{p.stage}_seed{seed}"
    out = study.folder / "networks" / f"{name}.keras"
    out.parent.mkdir(exist_ok=True)
    if not out.with_suffix(".json").exists():
        # As published, one epoch less is trained. The last weights are kept: test images must not choose them.
        words = f"--preset published --variant feedback --keep last --images {n} --seed {seed} --ann-trade-off 1 "
        words += f"--ann-epochs {1 + max(1, round(p.n_passes / n))} --snn-epochs {1 + snn_epochs(n)} --snn-images {SNN_IMAGES} "
        words += f"--width {p.width} --generator-width {p.width} --ann-learning-rate {TRAINING_RATE['feedback']} "
        words += f"--balance-images 64 --balance-steps 100 --stages {'both' if p.stage == 'snn' else 'ann'}"
        units = str(max(1, round(4096 * p.width)))
        folder = out.with_suffix("")
        train([*words.split(), "--dense", units, units, "--out", str(out), "--checkpoints", str(folder)])
    return out


def snn_epochs(n):
    """Return how many epochs of the SNN show as many digits as `SNN_EPOCHS` of `SNN_IMAGES`; fewer digits need more epochs."""
    return max(1, round(SNN_EPOCHS * SNN_IMAGES / min(n, SNN_IMAGES)))


def correct_of(path, stage, device, images, labels, seed):
    """Return whether each image is classified correctly, by the artificial network or by the spiking one with an open gate."""
    if stage == "ann":
        scores = bs.read_keras(bs.load_model(path)).activations(images)["classifier"].reshape(len(images), -1)
        return scores.argmax(axis=1) == labels
    return measure(images, labels, Run("no blocking"), {"feedback": load_network(path)}, device, seed)["correct"]


def fit_power_law(sizes, n_wrong, n_tested):
    """
    Return the most likely power law of error rates, by iterated least squares of a binomial model with a logarithmic link.

    Parameters
    ----------
    sizes : (k,) array_like
        Numbers of training images.
    n_wrong : (k,) array_like
        Errors. Those of none are taken as half of one, so that they have a logarithm.
    n_tested : int or (k,) array_like

    Returns
    -------
    a, b : float
        Of ``error = exp(a)*n**-b``.

    References
    ----------
    Cortes, Jackel, Solla, Vapnik, Denker (1993), Learning curves: asymptotic values and rate of convergence, NIPS 6.
    """
    sizes, tested = np.asarray(sizes, dtype=float), np.broadcast_to(n_tested, np.shape(sizes)).astype(float)
    rates = np.maximum(n_wrong, 0.5) / tested
    design, predicted = np.stack([np.ones(len(sizes)), -np.log(sizes)], axis=1), rates
    for _ in range(30):
        target = np.log(predicted) + (rates - predicted) / predicted
        root = np.sqrt(tested * predicted / (1 - predicted))
        coefficients = np.linalg.lstsq(design * root[:, None], target * root, rcond=None)[0]
        predicted = np.clip(np.exp(design @ coefficients), 1e-9, 0.99)
    return tuple(map(float, coefficients))


def wrong_draws(correct, n_draws):
    """
    Return numbers of errors in bootstrap draws of test images, which are the same for all sizes, and of seeds.

    Parameters
    ----------
    correct : (n_sizes, n_seeds, n_images) ndarray of bool
    n_draws : int

    Returns
    -------
    n_wrong : (n_draws, n_sizes) ndarray of int
    """
    n_sizes, n_seeds, n_images = correct.shape
    found, random = np.empty((n_draws, n_sizes), dtype=int), np.random.default_rng(0)
    for row in found:
        images = random.integers(n_images, size=n_images)
        seeds = random.integers(n_seeds, size=(n_sizes, n_seeds))
        row[:] = [(~own[chosen][:, images]).sum() for own, chosen in zip(correct, seeds)]
    return found


def law_draws(correct, sizes, at, n_draws):
    """
    Return predicted error rates of bootstrap draws of test images and of seeds.

    Parameters
    ----------
    correct : (n_sizes, n_seeds, n_images) ndarray of bool
    sizes : (n_sizes,) array_like
    at : (k,) array_like
        Numbers of training images at which errors are predicted.
    n_draws : int

    Returns
    -------
    errors : (n_draws, k) ndarray
    """
    laws = [fit_power_law(sizes, wrong, correct[0].size) for wrong in wrong_draws(correct, n_draws)]
    return np.array([np.exp(a) * np.asarray(at, dtype=float) ** -b for a, b in laws])


def published_difference(correct, sizes, stage, n_draws):
    """
    Return the published error rate minus that which the law predicts for full MNIST.

    Parameters
    ----------
    correct, sizes, n_draws
        As of `law_draws`.
    stage : {"ann", "snn"}

    Returns
    -------
    difference : float
    draws : (n_draws,) ndarray
        The published value varies with its 10,000 test images.
    """
    a, b = fit_power_law(sizes, (~correct).sum(axis=(1, 2)), correct[0].size)
    value, predicted = 1 - published(stage), law_draws(correct, sizes, [N_MNIST], n_draws)[:, 0]
    values = np.random.default_rng(1).binomial(N_MNIST_TEST, value, n_draws) / N_MNIST_TEST
    return value - float(np.exp(a) * N_MNIST**-b), values - predicted


def held_out_difference(correct, sizes, n_draws):
    """
    Return the error rate at the largest number of digits minus that which the others predict: difference and draws.

    Parameters
    ----------
    correct, sizes, n_draws
        As of `law_draws`.

    Returns
    -------
    difference : float
    draws : (n_draws,) ndarray
    """

    def difference(wrong):
        """Found minus predicted."""
        a, b = fit_power_law(sizes[:-1], wrong[:-1], correct[0].size)
        return float(wrong[-1] / correct[0].size - np.exp(a) * sizes[-1] ** -b)

    return difference((~correct).sum(axis=(1, 2))), np.array(
        [difference(wrong) for wrong in wrong_draws(correct, n_draws)]
    )


def plot_curve(correct, sizes, stage, n_draws):
    """Plot errors with their intervals, the law with its band, and the published value."""
    at = np.geomspace(min(sizes), N_MNIST, 60)
    a, b = fit_power_law(sizes, (~correct).sum(axis=(1, 2)), correct[0].size)
    with style():
        figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
        for seed in range(correct.shape[1]):
            share, low, high = share_interval(correct[:, seed].T)
            error = 100 * bars(1 - share, 1 - high, 1 - low)
            x = np.array(sizes) * 1.03 ** (seed - (correct.shape[1] - 1) / 2)
            label = "few digits" if seed == 0 else None
            ax.errorbar(x, 100 * (1 - share), error, fmt="o", ms=4, capsize=2, color=PALETTE[0], label=label)
        ax.plot(at, 100 * np.exp(a) * at**-b, color=PALETTE[0], ls="--", label=f"power law, n to the -{b:.2f}")
        band(ax, at, *(100 * bound for bound in draw_interval(law_draws(correct, sizes, at, n_draws))), PALETTE[0])
        value = published(stage)
        low, high = accuracy_interval(round(value * N_MNIST_TEST), N_MNIST_TEST)
        error = 100 * bars([1 - value], [1 - high], [1 - low])
        ax.errorbar(
            N_MNIST, 100 * (1 - value), error, fmt="D", capsize=3, color=PALETTE[1], label="published, full MNIST"
        )
        ax.set(xscale="log", yscale="log", xlabel="training digits", ylabel=f"test errors of the {stage.upper()} (%)")
        ax.set_xticks([*sizes, 10_000, N_MNIST], [f"{n:,}" for n in (*sizes, 10_000, N_MNIST)])
        ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if ax.get_ylim()[0] <= t <= ax.get_ylim()[1]]
        ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
        ax.minorticks_off()
        ax.legend()
    return figure


def report(study, correct, sizes):
    """Report the law, its prediction for full MNIST beside the published value, and the check of the law."""
    p, (_, n_seeds, n_images), claims = study.parameters, correct.shape, Claims(study)
    networks = f" and {n_seeds} networks of each size" if n_seeds > 1 else ", 1 network of each size"
    test = f"bootstrap of {n_images} test images{networks}"
    _, b = fit_power_law(sizes, (~correct).sum(axis=(1, 2)), correct[0].size)
    low, high = (100 * bound for bound in draw_interval(law_draws(correct, sizes, [N_MNIST], p.n_draws)[:, 0]))
    value = 1 - published(p.stage)
    difference, draws = published_difference(correct, sizes, p.stage, p.n_draws)
    study.report(
        "errors predicted for 60,000 digits (%)", 100 * (value - difference),
        f"errors predicted for 60,000 digits: {100 * (value - difference):.2f} % [{low:.2f}, {high:.2f}] if the power law holds "
        f"(n to the -{b:.2f}); published on full MNIST: {100 * value:.2f} %, "
        f"{_words('that the number of digits explains all', difference, draws)}",
    )  # fmt: skip
    n_tests = N_TESTS if len(sizes) >= 3 else 1
    about = "published error equals the law's for 60,000 digits"
    claims.equal(about, difference, draws, n_images, test, MARGIN, n_tests=n_tests)
    if n_tests > 1:
        difference, draws = held_out_difference(correct, sizes, p.n_draws)
        found = (~correct[-1]).mean()
        study.report(
            "check of the law",
            f"errors at {sizes[-1]} digits predicted from fewer: {100 * (found - difference):.2f} %, found {100 * found:.2f} %, "
            f"{_words('the law', difference, draws)}",
        )
        about = f"error at {sizes[-1]} digits equals the law of fewer"
        claims.equal(about, difference, draws, n_images, test, MARGIN, n_tests=n_tests)
    claims.report()


def _words(what, difference, draws):
    """Return a difference from the law with its interval, and whether that contradicts something."""
    low, high = draw_interval(draws)
    contradicted = "contradicted" if low > 0 or high < 0 else "not contradicted"
    return f"a difference of {100 * difference:+.2f} points [{100 * low:+.2f}, {100 * high:+.2f}]: {what} is {contradicted}"


def main(argv=None):
    """Train at all sizes, fit the law, compare."""
    study = Study("learning_curve", __doc__, QUICK, FULL, argv)
    p = study.parameters
    if p.stage not in STAGES:
        study.error(f"argument --stage: {p.stage!r}; choose one of {', '.join(STAGES)}")
    sizes = sorted(set(p.sizes))
    if len(sizes) < 2 or sizes[-1] > LARGEST or sizes[0] < 10:
        study.error(f"argument --sizes: {p.sizes}; give two or more different numbers from 10 to {LARGEST}")
    check_draws(study, "n_draws", N_TESTS)
    if p.stage == "ann" and study.device != DEVICES[0]:
        study.error(f"argument --device: {study.device} would be ignored; --stage ann runs no spiking network")
    seeds = range(study.seed, study.seed + p.n_seeds)  # of the trainings; draws of images always begin with the same
    with study:
        images, labels = load_digits("test")
        correct = np.array([
            [correct_of(trained(study, n, seed), p.stage, study.device, images, labels, seed) for seed in seeds]
            for n in study.progress(sizes, unit="size")
        ])  # fmt: skip
        rows = []
        for n, own in zip(sizes, correct):
            for seed, share, low, high in zip(seeds, *share_interval(own.T)):
                row = {
                    "training_digits": n,
                    "seed": seed,
                    "stage": p.stage,
                    "accuracy": share,
                    "low": low,
                    "high": high,
                }
                rows.append(row | {"n_test": len(images)})
        print(study.table(rows, "learning_curve").to_string(index=False))
        networks = "1 network" if p.n_seeds == 1 else f"{p.n_seeds} networks"
        n = f"{len(images)} test digits, {networks} for each number; bars and band: 95 %"
        study.figure(plot_curve(correct, sizes, p.stage, p.n_draws), "learning_curve", n)
        report(study, correct, sizes)


if __name__ == "__main__":
    main()
