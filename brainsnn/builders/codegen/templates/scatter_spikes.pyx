{# Event-driven sparse projection, see scatter_spikes.cpp. #}
{# USES_VARIABLES { _spikes, w, _table_first, _table_target } #}
{% extends 'common_group.pyx' %}
{% block maincode %}
    # scalar code
    _vectorisation_idx = 1
    {{scalar_code|autoindent}}

    {% for array in shifted_arrays(variables, variable_indices, get_array_name, tables) %}
    cdef {{array.type}}* _base_{{loop.index0}} = {{array.pointer}}
    {% endfor %}
    cdef int _event, _source
    cdef size_t _target, _weight
    cdef int _n_spikes = {{_spikes}}[{{n_sources}}]
    _idx = 0
    _vectorisation_idx = 0
    for _event in range(_n_spikes):
        _source = {{_spikes}}[_event]
        for _weight in range({{_table_first}}[_source], {{_table_first}}[_source + 1]):
            _target = {{_table_target}}[_weight]
            {% for array in shifted_arrays(variables, variable_indices, get_array_name, tables) %}
            {{array.pointer}} = _base_{{loop.index0}} + {{array.offset}}
            {% endfor %}
            {{vector_code|autoindent}}
{% endblock %}
