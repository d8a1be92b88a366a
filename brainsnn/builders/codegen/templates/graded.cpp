{# A linear operator between graded (non-spiking) variables: target = sum of weight * source, target by target. #}
{# USES_VARIABLES { w, source, target, _table_row_first, _table_row_source, _table_row_tap, _table_col_first, _table_col_source, _table_col_tap, _table_channel_start } #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    // scalar code
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    {% if overwrite %}
    for (size_t _i=0; _i<{{n_targets}}; _i++)
        {{target}}[_i] = 0;
    {% endif %}
    for (int _row=0; _row<{{n_target_rows}}; _row++)
    for (int _col=0; _col<{{n_target_columns}}; _col++)
    {
        {{data_type(variables['target'].dtype)}}* __restrict _out = {{target}} + ((size_t)_row*{{n_target_columns}} + _col)*{{n_target_channels}};
        for (int _r={{_table_row_first}}[_row]; _r<{{_table_row_first}}[_row + 1]; _r++)
        for (int _c={{_table_col_first}}[_col]; _c<{{_table_col_first}}[_col + 1]; _c++)
        {
            const {{data_type(variables['source'].dtype)}}* __restrict _in = {{source}} + ((size_t){{_table_row_source}}[_r]*{{n_columns}} + {{_table_col_source}}[_c])*{{n_channels}};
            const {{data_type(variables['w'].dtype)}}* __restrict _kernel = {{w}} + ((size_t){{_table_row_tap}}[_r]*{{n_column_taps}} + {{_table_col_tap}}[_c])*{{n_channels*n_fan_channels}};
            {% if diagonal %}
            for (int _channel=0; _channel<{{n_channels}}; _channel++)
                _out[{{first_channel}} + _channel] += _kernel[_channel]*_in[_channel];
            {% else %}
            for (int _channel=0; _channel<{{n_channels}}; _channel++)
            {
                const {{data_type(variables['source'].dtype)}} _value = _in[_channel];
                if (_value == 0)
                    continue;
                {{data_type(variables['target'].dtype)}}* __restrict _fan = _out + {{_table_channel_start}}[_channel];
                for (int _f=0; _f<{{n_fan_channels}}; _f++)
                    _fan[_f] += _kernel[_channel*{{n_fan_channels}} + _f]*_value;
            }
            {% endif %}
        }
    }
{% endblock %}
