{# A sparse linear operator between graded variables, a thread for each target. #}
{# USES_VARIABLES { w, source, target, _table_first, _table_source_index } #}
{% extends 'common_group.cu' %}
{% block define_N %}
const int _N = {{n_targets}};
{% endblock %}
{% block kernel_maincode %}
    {{c_data_type(variables['target'].dtype)}} _sum = {{'0' if overwrite else target + '[_idx]'}};
    for (int64_t _k={{_table_first}}[_idx]; _k<{{_table_first}}[_idx + 1]; _k++)
        _sum += {{w}}[_k]*{{source}}[{{_table_source_index}}[_k]];
    {{target}}[_idx] = _sum;
{% endblock %}
