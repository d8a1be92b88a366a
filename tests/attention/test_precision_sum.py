"""Tests of the sum of m_f under precision: in the published order, and conserved."""

import dense_reference as ref
import numpy as np
import pytest
from numpy.testing import assert_allclose

import brainsnn as bs
from brainsnn.attention import SpatialAttention


def test_precision_conserves_its_sum_if_asked_to():
    """The published order clips after it scales, so the sum grows where it clips."""
    model = bs.ASN(m_f=0.3)
    base = {name: np.array([model.parameters[name]]) for name in ("gain", "m_f", "h")}
    shape, total = (6, 6, 1), 0.3 * 36

    def m_f(precision, **options):
        attention = SpatialAttention((0.2, 0.7), 0.15, precision=precision, **options).for_layers(str)
        changed = attention.parameters_for("layer", shape, base, model)
        assert_allclose(changed["h"], ref.spike_height(np.maximum(changed["m_f"], 1e-3)))
        return changed["m_f"]

    for precision in (0.1, {"layer": 0.1}):
        assert_allclose(m_f(precision, conserve_sum=True), m_f(precision), rtol=1e-12)  # nothing is clipped
    published, conserved = m_f(0.6), m_f(0.6, conserve_sum=True)
    assert (published == 0).any() and published.sum() > 1.01 * total
    assert_allclose(conserved.sum(), total, rtol=1e-12)
    assert_allclose(conserved, published * (total / published.sum()), rtol=1e-12)
    for precision in (0.0, {"layer": 0.0}):
        with pytest.raises(ValueError, match="conserve_sum: has no effect without precision"):
            SpatialAttention((0.5, 0.5), precision=precision, conserve_sum=True)
