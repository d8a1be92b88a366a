{# A sparse linear operator between graded variables. #}
{# USES_VARIABLES { w, source, target, _table_first, _table_target_index } #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    // scalar code
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    {% if overwrite %}
    for (size_t _i=0; _i<{{n_targets}}; _i++)
        {{target}}[_i] = 0;
    {% endif %}
    for (size_t _i=0; _i<{{n_sources}}; _i++)
    {
        const {{data_type(variables['source'].dtype)}} _value = {{source}}[_i];
        if (_value == 0)
            continue;
        for (int64_t _k={{_table_first}}[_i]; _k<{{_table_first}}[_i + 1]; _k++)
            {{target}}[{{_table_target_index}}[_k]] += {{w}}[_k]*_value;
    }
{% endblock %}
