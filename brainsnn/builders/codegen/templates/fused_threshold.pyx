{# State update and threshold test in one pass; Brian2's own loop serves for Cython. #}
{# USES_VARIABLES { N } #}
{% extends 'threshold.pyx' %}
