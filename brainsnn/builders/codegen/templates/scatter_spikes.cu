{# Event-driven sparse projection: a target looks at its sources, a column of a sparse matrix. #}
{# USES_VARIABLES { _spikes, _table_spiked, w, _table_first, _table_source_index } #}
{% extends 'gather_spikes.cu' %}
{% block sources %}
    for (int64_t _weight={{_table_first}}[_target]; _weight<{{_table_first}}[_target + 1]; _weight++)
    {
        const int _source = {{_table_source_index}}[_weight];
        if (!(_bit_map[_source/32] >> (_source % 32) & 1u))
            continue;
        {% include 'spike_statement.cu' %}
    }
{% endblock %}
