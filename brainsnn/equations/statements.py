"""Statements of a neuron model: those of a reset, of an arriving spike, and of every step."""

import re

from brian2.utils.stringtools import get_identifiers, word_substitute

__all__ = ["assigned", "assignments", "cleaned", "recomputed", "unread", "with_own_locals", "with_suffixes"]

_ASSIGNMENT = re.compile(r"^\s*(\w+)\s*((?:\*\*|//|[-+*/%])?=)(?!=)\s*(.*)$")


def cleaned(code):
    """
    Return statements or a condition without comments and empty lines.

    Parameters
    ----------
    code : str or None

    Returns
    -------
    code : str or None
    """
    if code is None:
        return None
    lines = (line.split("#")[0].strip() for line in code.splitlines())
    return "\n".join(line for line in lines if line)


def assignments(code):
    """
    Split statements (of a reset, of ``on_pre``, or of every step) into their parts.

    Parameters
    ----------
    code : str or None

    Returns
    -------
    found : list of (str, str, str)
        Variable, operator such as ``+=``, and expression of each statement.
    """
    found = (_ASSIGNMENT.match(line.split("#")[0]) for line in (code or "").replace(";", "\n").splitlines())
    return [match.groups() for match in found if match]


def assigned(code):
    """
    Return the variables that statements write.

    Parameters
    ----------
    code : str or None

    Returns
    -------
    names : set of str
    """
    return {variable for variable, _, _ in assignments(code)}


def recomputed(code, equations):
    """
    Return the variables that statements write before anything reads them: what they were before has no effect.

    Parameters
    ----------
    code : str or None
        Statements of every step.
    equations : str

    Returns
    -------
    names : set of str
    """
    right_hand_sides = (re.split("[=:]", line, maxsplit=1)[-1] for line in equations.splitlines())
    found, read = set(), {name for side in right_hand_sides for name in get_identifiers(side)}
    for variable, operator, expression in assignments(code):
        read.update(get_identifiers(expression))
        if operator == "=" and variable not in read:
            found.add(variable)
    return found


def unread(code, known):
    """
    Return what statements assign in vain, such as a misspelt variable: it is not known, and no later statement reads it.

    Parameters
    ----------
    code : str or None
    known : container of str
        Variables that keep their values.

    Returns
    -------
    names : list of str
    """
    statements = assignments(code)
    read = [
        {n for _, _, expression in statements[k:] for n in get_identifiers(expression)}
        for k in range(1, len(statements) + 1)
    ]
    return [name for (name, _, _), later in zip(statements, read) if name not in known and name not in later]


def with_suffixes(code, variables):
    """
    Write the suffix ``_post`` that Brian2 lets users leave out: in ``on_pre``, ``I`` is the variable of the target neuron.

    Parameters
    ----------
    code : str
    variables : iterable of str
        Names of the target's variables.

    Returns
    -------
    code : str
    """
    own_meaning = {"w", "t", "dt", "i", "j", "N"}
    return word_substitute(code, {name: f"{name}_post" for name in variables if name not in own_meaning})


def with_own_locals(code, known, prefix):
    """
    Rename the local variables of statements, so that code that follows them in the same program does not meet these names.

    Parameters
    ----------
    code : str
    known : container of str
        Variables of the neurons, which keep their names.
    prefix : str

    Returns
    -------
    code : str
    """
    return word_substitute(code, {name: f"{prefix}{name}" for name in assigned(code) if name not in known})
