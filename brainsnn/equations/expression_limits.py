"""Bounds on expressions, since sympy and Python compute what an expression asks for, however long it takes."""

import ast
import math
import operator

__all__ = ["check_expression_limits"]

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
    parsed = [(place, variable, _parsed(place, text)) for place, variable, text in _expressions(model)]
    trees = [found for found in parsed if found[2] is not None]
    size = _Size({variable: tree for _, variable, tree in trees if variable})
    for place, _, tree in trees:
        _check_depth(place, tree)
    for place, _, tree in trees:
        try:
            _, terms = size.of(tree)
        except _TooLarge:
            _refuse(place, "has a number that is too large to be computed", f"Use numbers up to {LARGEST:g}.")
        except RecursionError:
            _refuse(
                place, f"has more than {MAX_DEPTH} names that stand for other expressions", "Write out some of them."
            )
        if _divides_by_zero(tree):
            _refuse(place, "divides by 0", "Write a divisor that is not 0.")
        if terms > MAX_TERMS:
            reason = f"has more than {MAX_TERMS:,} terms when it is multiplied out"
            _refuse(place, reason, "Use lower powers, or fewer sums in a product.")


def _expressions(model):
    """Yield (place for messages, name of the subexpression or "", text) of all that a model computes."""
    for line in model.equations.replace("\\\n", " ").splitlines():
        left, _, rest = line.partition("=")
        expression, _, unit = (rest or left).rpartition(":")
        place = f"{model.name}.equations: {line!r}"
        yield place, "" if "/" in left else left.strip(), expression if rest else ""
        yield place, "", unit.partition("(")[0]
    for what in ("threshold", "reset", "update", "on_pre", "refractory"):
        code = getattr(model, what)
        for line in code.replace(";", "\n").splitlines() if isinstance(code, str) else ():
            yield f"{model.name}.{what}: {line!r}", "", line


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
    """A number is too large."""


class _Size:
    """What an expression of numbers alone is, without its sign, and how many terms any other has when it is multiplied out."""

    def __init__(self, subexpressions):
        self.subexpressions, self.known = subexpressions, {}

    def of(self, node):
        """Return (number or None, terms) of a node."""
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return self._checked(abs(node.value)), 1
        if isinstance(node, ast.Name):
            return None, self._of_name(node.id)
        children = [self.of(child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr | ast.stmt)]
        if isinstance(node, ast.UnaryOp | ast.Expr) and len(children) == 1:
            return children[0]
        if isinstance(node, ast.BinOp):
            return self._of_operation(node.op, *children)
        return None, sum(terms for _, terms in children)

    def _of_name(self, name):
        if name not in self.known:
            self.known[name] = 1  # a circle, which Brian2 refuses
            tree = self.subexpressions.get(name)
            self.known[name] = 1 if tree is None else self.of(tree)[1]
        return self.known[name]

    def _of_operation(self, kind, left, right):
        (a, terms), (b, other_terms) = left, right
        if isinstance(kind, ast.Pow):
            if a is None:
                return None, _terms_of_power(terms, b)
            return (None if b is None else self._checked(self._power(a, b))), 1
        if isinstance(kind, ast.Mult | ast.Div):
            number = None if a is None or b is None else self._checked(a * b if isinstance(kind, ast.Mult) else a)
            return number, 1 if number is not None else min(terms * other_terms, MANY)
        return (None if a is None or b is None else self._checked(a + b)), terms + other_terms

    @staticmethod
    def _power(base, exponent):
        try:
            return float(base) ** float(exponent)
        except OverflowError:
            return math.inf

    @staticmethod
    def _checked(number):
        if number > LARGEST:
            raise _TooLarge
        return float(number)


OPERATIONS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: operator.pow,
    ast.Mod: operator.mod, ast.FloorDiv: operator.floordiv,
}  # fmt: skip


def _divides_by_zero(tree):
    """Return whether something in a tree is divided by numbers that make 0; solvers would go on with infinity."""
    divisors = [
        node.right for node in ast.walk(tree) if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Div | ast.Mod | ast.FloorDiv)
    ]  # fmt: skip
    return any(_number(divisor) == 0 for divisor in divisors)


def _number(node):
    """Return the value of an expression of numbers alone, or None."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) in (int, float) else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _number(node.operand)
        return -value if value is not None and isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        left, right = _number(node.left), _number(node.right)
        try:
            return None if left is None or right is None else OPERATIONS[type(node.op)](left, right)
        except ArithmeticError:
            return None
    return None


def _terms_of_power(terms, exponent):
    """Return the terms of a sum to some power, which is multiplied out for whole exponents only."""
    if terms == 1 or exponent is None or exponent != int(exponent):
        return terms
    if max(terms, exponent) > MAX_TERMS:
        return MANY
    return min(math.comb(terms + int(exponent) - 1, int(exponent)), MANY)
