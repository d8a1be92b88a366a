{# Maximum of a graded variable over windows. #}
{# USES_VARIABLES { source, target, _table_row_first, _table_row_last, _table_col_first, _table_col_last } #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    // scalar code
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    for (int _row=0; _row<{{n_target_rows}}; _row++)
    for (int _col=0; _col<{{n_target_columns}}; _col++)
    {
        {{data_type(variables['target'].dtype)}}* __restrict _out = {{target}} + ((size_t)_row*{{n_target_columns}} + _col)*{{n_channels}};
        bool _first = true;
        for (int _r={{_table_row_first}}[_row]; _r<{{_table_row_last}}[_row]; _r++)
        for (int _c={{_table_col_first}}[_col]; _c<{{_table_col_last}}[_col]; _c++)
        {
            const {{data_type(variables['source'].dtype)}}* __restrict _in = {{source}} + ((size_t)_r*{{n_columns}} + _c)*{{n_channels}};
            if (_first)
                for (int _channel=0; _channel<{{n_channels}}; _channel++)
                    _out[_channel] = _in[_channel];
            else
                for (int _channel=0; _channel<{{n_channels}}; _channel++)
                    _out[_channel] = _in[_channel] > _out[_channel] ? _in[_channel] : _out[_channel];
            _first = false;
        }
    }
{% endblock %}
