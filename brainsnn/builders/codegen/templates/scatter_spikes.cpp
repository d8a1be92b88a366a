{# Event-driven sparse projection: every spike adds its row of a sparse matrix to the target. #}
{# USES_VARIABLES { _spikes, w, _table_first, _table_target } #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    // scalar code
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    {% for array in shifted_arrays(variables, variable_indices, get_array_name, tables) %}
    auto* const _base_{{loop.index0}} = {{array.pointer}};
    {% endfor %}
    const int _n_spikes = {{_spikes}}[{{n_sources}}];
    for (int _event=0; _event<_n_spikes; _event++)
    {
        const int _source = {{_spikes}}[_event];
        for (int64_t _weight={{_table_first}}[_source]; _weight<{{_table_first}}[_source + 1]; _weight++)
        {
            const size_t _target = {{_table_target}}[_weight];
            {% for array in shifted_arrays(variables, variable_indices, get_array_name, tables) %}
            {{array.type}}* __restrict {{array.pointer}} = _base_{{loop.index0}} + {{array.offset}};
            {% endfor %}
            const size_t _idx = 0;
            const size_t _vectorisation_idx = 0;
            {{vector_code|autoindent}}
        }
    }
{% endblock %}
