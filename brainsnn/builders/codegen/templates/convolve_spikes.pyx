{# Event-driven convolution, see convolve_spikes.cpp. #}
{# USES_VARIABLES { _spikes, w, _table_row_first, _table_row_target, _table_row_tap, _table_col_first, _table_col_target, _table_col_tap, _table_col_length, _table_channel_start } #}
{% extends 'common_group.pyx' %}
{% block maincode %}
    # scalar code
    _vectorisation_idx = 1
    {{scalar_code|autoindent}}

    {% for array in shifted_arrays(variables, variable_indices, get_array_name, tables) %}
    cdef {{array.type}}* _base_{{loop.index0}} = {{array.pointer}}
    {% endfor %}
    cdef int _event, _source, _channel, _row, _col, _r, _c, _position
    cdef size_t _target, _weight, _length
    cdef int _n_spikes = {{_spikes}}[{{n_sources}}]
    for _event in range(_n_spikes):
        _source = {{_spikes}}[_event]
        with _cython.cdivision(True):
            _channel = _source % {{n_channels}}
            _row = (_source // {{n_channels}}) // {{n_columns}}
            _col = (_source // {{n_channels}}) % {{n_columns}}
        for _r in range({{_table_row_first}}[_row], {{_table_row_first}}[_row + 1]):
            for _c in range({{_table_col_first}}[_col], {{_table_col_first}}[_col + 1]):
                _target = (<size_t>{{_table_row_target}}[_r]*{{n_target_columns}} + {{_table_col_target}}[_c])*{{n_target_channels}} + {{_table_channel_start}}[_channel]
                _weight = ((<size_t>_channel*{{n_row_taps}} + {{_table_row_tap}}[_r])*{{n_column_taps}} + {{_table_col_tap}}[_c])*{{n_fan_channels}}
                {% if contiguous %}
                _length = <size_t>{{_table_col_length}}[_c]*{{n_fan_channels}}
                for _position in range(1):
                {% else %}
                _length = {{n_fan_channels}}
                for _position in range({{_table_col_length}}[_c]):
                {% endif %}
                    {% for array in shifted_arrays(variables, variable_indices, get_array_name, tables) %}
                    {{array.pointer}} = _base_{{loop.index0}} + {{array.offset}}
                    {% endfor %}
                    for _idx in range(_length):
                        _vectorisation_idx = _idx
                        {{vector_code|autoindent}}
                    _target += {{n_target_channels}}
                    _weight += {{n_fan_channels}}
{% endblock %}
