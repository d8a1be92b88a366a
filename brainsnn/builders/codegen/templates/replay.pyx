{# Writes the signs of the spikes to be replayed in this step. #}
{# USES_VARIABLES { train, replayed, timestep } #}
{% extends 'common_group.pyx' %}
{% block maincode %}
    _vectorisation_idx = 1
    {{scalar_code|autoindent}}
    cdef size_t _i
    cdef size_t _start = <size_t>({{timestep}})*{{n_sources}}
    cdef bint _over = _start + {{n_sources}} > <size_t>_namespace["_numtrain"]
    for _i in range({{n_sources}}):
        {{replayed}}[_i] = 0 if _over else {{train}}[_start + _i]
{% endblock %}
