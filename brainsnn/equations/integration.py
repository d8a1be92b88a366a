"""Exponential Euler integration for linear equations with additive noise."""

import sympy as sp
from brian2 import Equations
from brian2.equations.equations import DIFFERENTIAL_EQUATION, SingleEquation
from brian2.parsing.sympytools import sympy_to_str
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException
from brian2.stateupdaters.exponential_euler import exponential_euler, get_conditionally_linear_system

__all__ = ["ExponentialEulerAdditive"]


class ExponentialEulerAdditive(StateUpdateMethod):
    """
    Exponential Euler for equations that are linear in their own variable and have additive noise.

    Brian2's ``exponential_euler`` does not accept noise. This method integrates the deterministic part with it and adds
    normally distributed noise in each step. For ``dx = (A*x + B)*dt + g*dW`` the variance of the noise is that of an
    Ornstein-Uhlenbeck process, ``g**2*(exp(2*A*dt) - 1)/(2*A)``. The result is exact for constant B and g.

    References
    ----------
    Gillespie (1996), Phys. Rev. E 54:2084.
    """

    def __call__(self, equations, variables=None, method_options=None):
        """Return the abstract code of one step; see `~brian2.stateupdaters.base.StateUpdateMethod`."""
        if equations.stochastic_type != "additive":
            raise UnsupportedEquationsException("Only equations with additive noise are supported.")
        deterministic, noise = [], {}
        for equation in equations.values():
            expression = equation.expr
            if equation.type == DIFFERENTIAL_EQUATION and expression.stochastic_variables:
                expression, terms = expression.split_stochastic()
                noise[equation.varname] = terms
            deterministic.append(
                SingleEquation(
                    equation.type, equation.varname, equation.dim,
                    var_type=equation.var_type, expr=expression, flags=equation.flags,
                )
            )  # fmt: skip
        drift = Equations(deterministic)
        code = exponential_euler(drift, variables, method_options).splitlines()
        try:
            system = get_conditionally_linear_system(drift, variables)
        except ValueError as error:
            raise UnsupportedEquationsException("The equations are not conditionally linear.") from error
        dt = sp.Symbol("dt")
        # As in Brian2, one name of noise (xi_common) in several equations is the same noise.
        shared = [xi for xi in equations.stochastic_variables if sum(xi in terms for terms in noise.values()) > 1]
        code += [f"_sample_{xi} = randn()" for xi in sorted(shared)]
        for variable, terms in noise.items():
            rate = system[variable][0]
            gained = dt if rate == 0 else (sp.exp(2 * rate * dt) - 1) / (2 * rate)
            drawn = {xi: f"_sample_{xi}" if xi in shared else "randn()" for xi in terms}
            sample = " + ".join(f"({term.code})*{drawn[xi]}" for xi, term in terms.items())
            code.append(f"{variable} = {variable} + sqrt({sympy_to_str(gained)})*({sample})")
        return "\n".join(code)


StateUpdateMethod.register("exponential_euler_additive", ExponentialEulerAdditive())
