"""Equations, conditions and statements of Brian2 as LaTeX, and text that LaTeX prints as it is."""

import sympy
from brian2.parsing.sympytools import str_to_sympy
from brian2.units.fundamentalunits import get_unit_for_display

from brainsnn.equations.statements import assignments

__all__ = ["escaped", "latex_condition", "latex_equation", "latex_name", "latex_statement"]

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "`": r"\textasciigrave{}", "'": r"\textquotesingle{}", '"': r"\textquotedbl{}",
}  # fmt: skip
_GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega".split()
)


def escaped(text):
    r"""
    Return a text that LaTeX prints as it is, on one line.

    Parameters
    ----------
    text : str

    Returns
    -------
    escaped : str

    Examples
    --------
    >>> print(escaped("conv_1: 50%"))
    conv\_1: 50\%
    """
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


def latex_name(name):
    r"""
    Return the name of a variable in math: Greek letters, and what follows an underscore as an index.

    Parameters
    ----------
    name : str

    Returns
    -------
    latex : str

    Examples
    --------
    >>> print(latex_name("tau_beta"), latex_name("S_hat"), latex_name("is_on"))
    \tau_{\beta} S_{\mathrm{hat}} \mathrm{is\_on}
    """
    base, _, index = name.partition("_")
    if not index or not (len(base) == 1 or base in _GREEK):
        return _word(name)
    return f"{_word(base)}_{{{_word(index)}}}"


def _word(word):
    if word in _GREEK:
        return f"\\{word}"
    return word if len(word) == 1 and word.isalpha() else rf"\mathrm{{{escaped(word)}}}"


def _latex(expression):
    found = str_to_sympy(expression)
    names = {symbol: latex_name(symbol.name) for symbol in found.free_symbols}
    return sympy.latex(found, symbol_names=names, mul_symbol=r"\,").replace("_{}", "")  # after Brian2's int_


def latex_condition(condition):
    """Return a condition in math, or as code if Brian2 cannot turn it into a formula (str)."""
    try:
        return f"${_latex(condition)}$"
    except Exception:  # of many types, where Brian2 cannot make a formula, as of an unknown function
        return rf"\texttt{{{escaped(condition)}}}"


def latex_equation(equation):
    """
    Return a line of equations in math.

    Parameters
    ----------
    equation : `~brian2.equations.equations.SingleEquation`
        A differential equation or a subexpression.

    Returns
    -------
    latex : str
    """
    name = latex_name(equation.varname)
    left = rf"\frac{{\mathrm{{d}}{name}}}{{\mathrm{{d}}t}}" if equation.type == "differential equation" else name
    unit = str(get_unit_for_display(equation.dim))
    unit = "" if unit == "1" else rf" \quad in {escaped(unit)}"
    try:
        return f"${left} = {_latex(str(equation.expr))}${unit}"
    except Exception:  # as above
        return rf"${left} =$ \texttt{{{escaped(str(equation.expr))}}}{unit}"


def latex_statement(statement):
    """Return a statement, such as one of a reset, in math, or as code (str)."""
    found = assignments(statement)
    try:
        ((variable, operator, expression),) = found
        right = _latex(
            f"{variable} {operator[0]} ({expression})" if operator in ("+=", "-=", "*=", "/=") else expression
        )
        if operator not in ("=", "+=", "-=", "*=", "/="):
            raise ValueError(operator)
        return rf"${latex_name(variable)} \leftarrow {right}$"
    except Exception:  # as above
        return rf"\texttt{{{escaped(statement)}}}"
