{# A sparse linear operator between graded variables. #}
{# USES_VARIABLES { w, source, target, _table_first, _table_target_index } #}
{% extends 'common_group.pyx' %}
{% block maincode %}
    # scalar code
    _vectorisation_idx = 1
    {{scalar_code|autoindent}}

    cdef {{data_type(variables['source'].dtype)}} _value
    cdef size_t _i
    cdef int64_t _k
    {% if overwrite %}
    for _i in range({{n_targets}}):
        {{target}}[_i] = 0
    {% endif %}
    for _i in range({{n_sources}}):
        _value = {{source}}[_i]
        if _value == 0:
            continue
        for _k in range({{_table_first}}[_i], {{_table_first}}[_i + 1]):
            {{target}}[{{_table_target_index}}[_k]] += {{w}}[_k]*_value
{% endblock %}
