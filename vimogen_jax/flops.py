"""Operations of the matrix products of a traced program, with loops multiplied out.

Counted in the jaxpr, where a scan says its length; compilers count the body of a loop once, as is
done here where only a condition ends it. All other operations are left out: they are few, and no
matrix unit runs them.
"""

import math
from collections.abc import Iterator
from typing import Any

from jax.extend import core

_AGAIN = "rematted_computation"  # how JAX marks what the backward pass computes again


def matmul_flops(jaxpr: core.Jaxpr, *, again: bool = True) -> int:
    """Multiplications and additions of all devices together; of branches, the dearest.

    What is computed again in the backward pass counts again, or not: `again`.
    """
    total = 0
    for equation in jaxpr.eqns:
        if not again and _AGAIN in str(equation.source_info.name_stack):
            continue
        inner = [matmul_flops(sub, again=again) for sub in _jaxprs(equation.params.values())]
        if equation.primitive.name == "dot_general":
            total += _product_flops(equation)
        elif equation.primitive.name == "scan":
            total += equation.params["length"] * sum(inner)
        elif equation.primitive.name == "cond":
            total += max(inner, default=0)
        else:
            total += sum(inner)
    return total


def _product_flops(equation: core.JaxprEqn) -> int:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left: Any = equation.invars[0].aval
    out: Any = equation.outvars[0].aval
    return 2 * math.prod(out.shape) * math.prod(left.shape[axis] for axis in contracted)


def _jaxprs(params: Any) -> Iterator[core.Jaxpr]:
    for value in params:
        for item in value if isinstance(value, tuple | list) else (value,):
            item = getattr(item, "jaxpr", item)  # of a closed one
            if hasattr(item, "eqns"):
                yield item
