#!/usr/bin/env python
"""Compare random cases with independent computations and print how many of each kind were equal, refused, wrong or raw."""

import argparse
import datetime
import os
import subprocess
import sys
import time
import traceback
from collections import Counter, defaultdict
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
BATCH = 20


def count_batch(kind, seed, n):
    """Return (counts, refusals, failures) of one batch, which runs in a process of the pool."""
    import warnings

    warnings.simplefilter("ignore")
    from fuzz_kinds import run_batch
    from fuzzing import Counting

    count = Counting(case=f"--only {kind} --seed {seed} --cases {n}")
    started = time.time()
    try:
        run_batch(kind, seed, n, count)
    except Exception as error:  # a fault of the test: the other batches go on
        count.failures.append(("a case of its own", "raw", count.case, "".join(traceback.format_exception(error)[-4:])))
    plain = {
        name: {k: dict(c) for k, c in values.items()}
        for name, values in vars(count).items()
        if name in ("counts", "refusals")
    }
    return kind, n, plain["counts"], plain["refusals"], count.failures, count.runs, time.time() - started


def count_one(job):
    """Return what `count_batch` does for one (kind, seed, n)."""
    return count_batch(*job)


def first_failure(kind, seed, n):
    """Run one batch again, and raise its first failure, made as small as possible."""
    from fuzz_kinds import run_batch
    from fuzzing import Raising

    run_batch(kind, seed, n, Raising())


def commit():
    """Return the commit, with a + for changes that are not committed."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return described.stdout.strip() or "unknown commit"


def table(cases, counts, outcomes):
    """Return the counts as a Markdown table."""
    lines = ["| kind | check | tried | " + " | ".join(outcomes) + " |", "|---|---|---|" + "---|" * len(outcomes)]
    for kind in cases:
        rows = {check: c for (k, check), c in sorted(counts.items()) if k == kind}
        total = sum(rows.values(), Counter())
        for check, c in [*rows.items(), ("**all**", total)]:
            what = f"{kind} ({cases[kind]} cases)" if check == "**all**" else kind
            lines.append(f"| {what} | {check} | {sum(c.values())} | " + " | ".join(str(c[o]) for o in outcomes) + " |")
    return "\n".join(lines)


def described(check, outcome, case, text):
    """Return what went wrong, and the command that shows it again."""
    return f"\n{outcome}: {check}; see it again with: make fuzz FUZZ_ARGS='{case} --again'\n{text}"


def parse(arguments=None):
    """Return the options of the command line."""
    sys.path[:0] = [str(ROOT / "tests" / "fuzz"), str(ROOT / "tests" / "helpers")]
    os.environ["PYTHONPATH"] = os.pathsep.join([*sys.path[:2], str(ROOT), os.environ.get("PYTHONPATH", "")])
    # Without oneDNN, TensorFlow cannot run convolutions in groups or dilated transposed ones on a CPU.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    from fuzz_kinds import KINDS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS), help="kinds to try")
    parser.add_argument("--cases", type=int, default=200, help="cases of each kind (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="first seed; each batch has its own (%(default)s)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="batches at once (%(default)s)")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="stop after this time, with the counts so far"
    )
    parser.add_argument("--again", action="store_true", help="run one batch again and show its smallest failure")
    parser.add_argument(
        "--refusals", type=int, default=0, metavar="N", help="print the N most frequent refusals of each check"
    )
    return parser.parse_args(arguments)


def main():
    """Run the batches, print the table; the exit status is 1 if a case was wrong or raw."""
    options = parse()
    if options.again:
        for kind in options.only:
            first_failure(kind, options.seed, options.cases)
        return 0
    from fuzzing import OUTCOMES

    cases, counts, refusals, failures = Counter(), defaultdict(Counter), defaultdict(Counter), []
    seconds, runs = Counter(), Counter()
    jobs = [
        (kind, options.seed + k, min(BATCH, options.cases - k * BATCH))
        for k in range(-(-options.cases // BATCH))
        for kind in options.only
    ]
    started = time.time()
    # A process ends after a few batches: Keras and Brian2 keep what they have made.
    pool = get_context("spawn").Pool(options.processes, maxtasksperchild=10)
    with pool, tqdm(total=sum(job[2] for job in jobs), unit="case") as bar:
        for kind, n, found, refused, failed, ran, took in pool.imap_unordered(count_one, jobs):
            cases[kind] += n
            runs[kind] += ran
            seconds[kind] += took
            for check, outcomes in found.items():
                counts[kind, check] += Counter(outcomes)
            for check, messages in refused.items():
                refusals[kind, check] += Counter(messages)
            failures += failed
            for failure in failed:
                bar.write(described(*failure), file=sys.stderr)  # now: a long run may be interrupted
            bar.update(n)
            bar.set_postfix(failures=len(failures))
            if time.time() - started > 60 * options.minutes:
                break
    print(table(cases, counts, OUTCOMES))
    print(f"\nCommit {commit()}, {datetime.date.today()}, seeds from {options.seed}; " + ", ".join(
        f"{kind} {seconds[kind] / cases[kind]:.2f} s each" + (f", {runs[kind]} runs of networks" if runs[kind] else "")
        for kind in cases))  # fmt: skip
    for (kind, check), messages in refusals.items():
        for message, n in messages.most_common(options.refusals):
            print(f"refused {n:5d} {kind}/{check}: {message}")
    for failure in failures[:20]:
        print(described(*failure))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
