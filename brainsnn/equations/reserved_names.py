"""Names that a model cannot use for something of its own: those of Brian2, and those of C++, its target."""

import re

from brian2 import second
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS, DEFAULT_UNITS

__all__ = ["ALWAYS", "REFRACTORY", "in_brian2", "in_cpp"]

#: Variables that every group of neurons has, and those that a refractory period adds.
ALWAYS = {"t": second, "dt": second, "i": 1, "N": 1}
REFRACTORY = {"lastspike": second, "not_refractory": 1}

KINDS = {
    "a constant": DEFAULT_CONSTANTS, "a unit": DEFAULT_UNITS, "a function": DEFAULT_FUNCTIONS,
    "a variable of all neurons": {*ALWAYS, *REFRACTORY, "j"}, "noise": {"xi"},
}  # fmt: skip
#: Keywords of C++, and macros of the headers that generated programs include.
CPP = re.compile(
    "|".join(
        r"""
        alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class compl const
        constexpr const_cast continue decltype default delete do double dynamic_cast else enum explicit export extern false
        float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private
        protected public register reinterpret_cast return short signed sizeof static static_assert static_cast struct switch
        template this thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t
        while xor xor_eq NULL INFINITY NAN EOF BUFSIZ RAND_MAX EXIT_SUCCESS EXIT_FAILURE HUGE_VAL[FL]? errno stdin stdout stderr
        FP_(NAN|INFINITE|ZERO|SUBNORMAL|NORMAL) M_(E|LOG2E|LOG10E|LN2|LN10|PI|PI_2|PI_4|1_PI|2_PI|2_SQRTPI|SQRT2|SQRT1_2)
        SIG(ABRT|FPE|ILL|INT|SEGV|TERM|_DFL|_ERR|_IGN) U?(S?CHAR|SHRT|INT|LONG|LLONG|INT\d+|INTPTR|INTMAX)_(MAX|MIN)
        (FLT|DBL|LDBL|SIZE|PTRDIFF|WCHAR)_(MAX|MIN) std brian
        """.split()
    )
)


def in_brian2(name):
    """
    Say what a name stands for in every expression of Brian2.

    Parameters
    ----------
    name : str

    Returns
    -------
    kind : str or None
        None for a free name.
    """
    return next((kind for kind, names in KINDS.items() if name in names), "noise" if name.startswith("xi_") else None)


def in_cpp(name):
    """
    Return whether a name means something in generated C++ programs, so that a variable of this name cannot be compiled.

    Parameters
    ----------
    name : str

    Returns
    -------
    is_taken : bool
    """
    return CPP.fullmatch(name) is not None
