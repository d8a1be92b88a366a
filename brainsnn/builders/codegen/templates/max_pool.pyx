{# Maximum of a graded variable over windows. #}
{# USES_VARIABLES { source, target, _table_row_first, _table_row_last, _table_col_first, _table_col_last } #}
{% extends 'common_group.pyx' %}
{% block maincode %}
    # scalar code
    _vectorisation_idx = 1
    {{scalar_code|autoindent}}

    cdef {{data_type(variables['target'].dtype)}}* _out
    cdef {{data_type(variables['source'].dtype)}}* _in
    cdef int _row, _col, _r, _c, _channel, _first
    for _row in range({{n_target_rows}}):
        for _col in range({{n_target_columns}}):
            _out = {{target}} + (<size_t>_row*{{n_target_columns}} + _col)*{{n_channels}}
            _first = 1
            for _r in range({{_table_row_first}}[_row], {{_table_row_last}}[_row]):
                for _c in range({{_table_col_first}}[_col], {{_table_col_last}}[_col]):
                    _in = {{source}} + (<size_t>_r*{{n_columns}} + _c)*{{n_channels}}
                    for _channel in range({{n_channels}}):
                        if _first or _in[_channel] > _out[_channel]:
                            _out[_channel] = _in[_channel]
                    _first = 0
{% endblock %}
