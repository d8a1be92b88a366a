{# State update and threshold test in one pass; Cython uses Brian2's loop. #}
{# USES_VARIABLES { N } #}
{% extends 'threshold.pyx' %}
