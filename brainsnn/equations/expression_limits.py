"""Bounds on expressions, since sympy and Python compute what an expression asks for, however long it takes."""

import ast
import math
import operator
from fractions import Fraction
from typing import Any

__all__ = ["check_code_limits", "check_expression_limits"]

#: Characters of an expression; brackets, or terms of a sum, within each other.
MAX_LENGTH, MAX_DEPTH = 10_000, 200
#: Terms of the expression when all products and powers are multiplied out, which solvers do, and names are replaced.
MAX_TERMS = 2_000
#: Largest number that is written in an expression, or follows from numbers in it; double precision ends at 1.8e308.
LARGEST = 1e300
DIVIDE = "Divide it into several equations."
#: More terms than allowed; they are not counted further.
MANY = 10**9


def check_expression_limits(model):
    """
    Refuse expressions that would take for ever, before anything computes with them.

    Parameters
    ----------
    model : `~brainsnn.equations.model.NeuronModel`
        Its equations need not be valid.

    Raises
    ------
    ValueError
        With the expression, if it is longer or deeper than any that a person writes, if a number in it is too large for a
        computer (``9**9**9``), if multiplying it out gives too many terms (``(a + b + c)**100``), or if a number in it is
        divided by 0.
    """
    _check(_expressions(model))


def _check(expressions):
    """Check (place, name of the subexpression or "", text) of all expressions that belong together."""
    parsed = [(place, variable, _parsed(place, text)) for place, variable, text in expressions]
    trees = [found for found in parsed if found[2] is not None]
    size = _Size({variable: tree for _, variable, tree in trees if variable})
    for place, _, tree in trees:
        _check_depth(place, tree)
    for place, _, tree in trees:
        try:
            _, terms = size.of(tree)
        except _TooLarge:
            reason = "has a number that is too large, or too small, to be computed"
            _refuse(place, reason, f"Use numbers between {1 / LARGEST:g} and {LARGEST:g}.")
        except ZeroDivisionError:
            _refuse(place, "divides by 0", "Write a divisor that is not 0.")
        except RecursionError:
            _refuse(
                place, f"has more than {MAX_DEPTH} names that stand for other expressions", "Write out some of them."
            )
        if terms > MAX_TERMS:
            reason = f"has more than {MAX_TERMS:,} terms when it is multiplied out"
            _refuse(place, reason, "Use lower powers, or fewer sums in a product.")


def check_code_limits(place, code):
    """
    Refuse statements, or an expression, that would take for ever.

    Parameters
    ----------
    place : str
        Where it stands, for the message.
    code : str

    Raises
    ------
    ValueError
        As of `check_expression_limits`.
    """
    _check([(f"{place}: {text!r}", "", text) for text in _statements(code)])


def _expressions(model):
    """Yield (place for messages, name of the subexpression or "", text) of all that a model computes."""
    for line in _equations(model.equations):
        left, _, rest = line.partition("=")
        expression, _, unit = (rest or left).rpartition(":")
        place = f"{model.name}.equations: {line!r}"
        yield place, "" if "/" in left else left.strip(), expression if rest else ""
        yield place, "", unit.partition("(")[0]
    for what in ("threshold", "reset", "update", "on_pre", "refractory"):
        code = getattr(model, what)
        for text in _statements(code) if isinstance(code, str) else ():
            yield f"{model.name}.{what}: {text!r}", "", text


def _equations(text):
    """Yield the equations; one may stand on several lines, and ends with its unit."""
    equation = ""
    for line in text.replace("\\\n", " ").splitlines():
        equation = f"{equation} {line.partition('#')[0].strip()}".strip()
        if ":" in equation and equation.count("(") <= equation.count(")"):
            yield equation
            equation = ""
    if equation:
        yield equation


def _statements(code):
    """Return the statements of a piece of code, each as a text; lines and parts of lines if it is not Python."""
    lines = [line.strip() for line in code.replace(";", "\n").splitlines()]
    try:
        source = "\n".join(code.strip().splitlines())
        return [ast.get_source_segment(source, statement) for statement in ast.parse(source).body]
    except (MemoryError, RecursionError, SyntaxError, ValueError):
        return lines


def _parsed(place, text):
    """Return the expressions in a piece of code; None for what is not Python, of which Brian2 says what is wrong."""
    text = text.strip()
    if len(text) > MAX_LENGTH:
        _refuse(place, f"has {len(text):,} characters, more than {MAX_LENGTH:,}", DIVIDE)
    try:
        return ast.parse(text)
    except (MemoryError, RecursionError):
        return _refuse_depth(place)
    except (SyntaxError, ValueError) as error:
        return _refuse_depth(place) if "too many nested" in str(error) else None


def _refuse(place, reason, fix):
    shown = place if len(place) < 300 else f"{place[:200]} ... {place[-60:]}"
    raise ValueError(f"{shown} {reason}. {fix}")


def _refuse_depth(place):
    _refuse(place, f"has more than {MAX_DEPTH} brackets or operators within each other", DIVIDE)


def _check_depth(place, tree):
    pending = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > MAX_DEPTH:
            _refuse_depth(place)
        pending += [(child, depth + 1) for child in ast.iter_child_nodes(node)]


class _TooLarge(Exception):
    """A number is too large, or too close to 0."""


#: Functions of numbers: those that sympy evaluates exactly, and others, whose values are numbers in double precision.
EXACT: dict[str, Any] = {
    "abs": abs,
    "ceil": lambda x: Fraction(math.ceil(x)),
    "floor": lambda x: Fraction(math.floor(x)),
    "int": lambda x: Fraction(int(x)),
    "sign": lambda x: Fraction((x > 0) - (x < 0)),
}
ROUNDED = {name: getattr(math, name) for name in "cos cosh exp expm1 log log10 log1p sin sinh sqrt tan tanh".split()}
OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
              ast.Mod: operator.mod, ast.FloorDiv: operator.floordiv}  # fmt: skip


class _Size:
    """The value of an expression of numbers alone, and how many terms any other has when it is multiplied out."""

    def __init__(self, subexpressions):
        self.subexpressions, self.known = subexpressions, {}

    def of(self, node):
        """Return (number or None, terms) of a node."""
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return _checked(Fraction(node.value) if isinstance(node.value, int) else node.value), 1
        if isinstance(node, ast.Name):
            return self._of_name(node.id)
        children = [self.of(child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr | ast.stmt)]
        if isinstance(node, ast.Module | ast.Expr) and len(children) == 1:
            return children[0]
        if isinstance(node, ast.UnaryOp):
            number, terms = children[0]
            if isinstance(node.op, ast.UAdd):
                return number, terms
            return (-number if number is not None and isinstance(node.op, ast.USub) else None), terms
        if isinstance(node, ast.BinOp):
            return self._of_operation(node.op, *children)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
            number, terms = children[1]
            return (None if number is None else _of_function(node.func.id, number)), terms
        return None, sum(terms for _, terms in children)

    def _of_name(self, name):
        if name not in self.known:
            self.known[name] = None, 1  # a circle, which Brian2 refuses
            tree = self.subexpressions.get(name)
            self.known[name] = (None, 1) if tree is None else self.of(tree)
        return self.known[name]

    def _of_operation(self, kind, left, right):
        (a, terms), (b, other_terms) = left, right
        if isinstance(kind, ast.Div | ast.Mod | ast.FloorDiv) and b == 0:
            raise ZeroDivisionError
        is_power, is_number = isinstance(kind, ast.Pow), a is not None and b is not None
        if is_number and (is_power or type(kind) in OPERATIONS):
            return _checked(_power(a, b) if is_power else OPERATIONS[type(kind)](a, b)), 1
        if is_power:
            return None, _terms_of_power(terms, b)
        return None, min(terms * other_terms, MANY) if isinstance(kind, ast.Mult | ast.Div) else terms + other_terms


def _power(base, exponent):
    """Return a power, without computing numbers that are too large; sympy keeps fractions exact."""
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        n_bits = max(base.numerator.bit_length(), base.denominator.bit_length()) if abs(base) != 1 else 0
        if n_bits * abs(exponent) > 2 * math.log2(LARGEST):
            raise _TooLarge
        if exponent.denominator == 1:
            return base ** int(exponent)
    try:
        return abs(float(base) ** float(exponent))
    except OverflowError:
        raise _TooLarge from None


def _of_function(name, number):
    """Return the value of a function of a number, or None if sympy does not know the function."""
    try:
        return _checked(EXACT[name](number)) if name in EXACT else _checked(ROUNDED[name](number))
    except OverflowError:
        raise _TooLarge from None
    except (KeyError, ValueError):
        return None


def _checked(number):
    """Return a number, a fraction or a float; refuse one that is too large for a computer."""
    parts = (number.numerator, number.denominator) if isinstance(number, Fraction) else (number,)
    if any(abs(part) > LARGEST for part in parts):
        raise _TooLarge
    return number


def _terms_of_power(terms, exponent):
    """Return the terms of a sum to some power, which is multiplied out for whole exponents only."""
    if terms == 1 or exponent is None or exponent != int(exponent):
        return terms
    if max(terms, exponent) > MAX_TERMS:
        return MANY
    return min(math.comb(terms + int(exponent) - 1, int(exponent)), MANY)
