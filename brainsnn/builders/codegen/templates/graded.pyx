{# A linear operator between graded variables, see graded.cpp. #}
{# USES_VARIABLES { w, source, target, _table_row_first, _table_row_source, _table_row_tap, _table_col_first, _table_col_source, _table_col_tap, _table_channel_start } #}
{% extends 'common_group.pyx' %}
{% block maincode %}
    # scalar code
    _vectorisation_idx = 1
    {{scalar_code|autoindent}}

    cdef {{data_type(variables['target'].dtype)}}* _out
    cdef {{data_type(variables['source'].dtype)}}* _in
    cdef {{data_type(variables['w'].dtype)}}* _kernel
    cdef {{data_type(variables['source'].dtype)}} _value
    cdef int _row, _col, _r, _c, _channel, _f, _start
    cdef size_t _i
    {% if overwrite %}
    for _i in range({{n_targets}}):
        {{target}}[_i] = 0
    {% endif %}
    for _row in range({{n_target_rows}}):
        for _col in range({{n_target_columns}}):
            _out = {{target}} + (<size_t>_row*{{n_target_columns}} + _col)*{{n_target_channels}}
            for _r in range({{_table_row_first}}[_row], {{_table_row_first}}[_row + 1]):
                for _c in range({{_table_col_first}}[_col], {{_table_col_first}}[_col + 1]):
                    _in = {{source}} + (<size_t>{{_table_row_source}}[_r]*{{n_columns}} + {{_table_col_source}}[_c])*{{n_channels}}
                    _kernel = {{w}} + (<size_t>{{_table_row_tap}}[_r]*{{n_column_taps}} + {{_table_col_tap}}[_c])*{{n_channels*n_fan_channels}}
                    for _channel in range({{n_channels}}):
                        _value = _in[_channel]
                        if _value == 0:
                            continue
                        _start = {{_table_channel_start}}[_channel]
                        for _f in range({{n_fan_channels}}):
                            _out[_start + _f] += _kernel[_channel*{{n_fan_channels}} + _f]*_value
{% endblock %}
