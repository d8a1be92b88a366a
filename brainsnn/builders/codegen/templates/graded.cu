{# A linear operator between graded variables: target = sum of weight * source, a thread for each target. #}
{# USES_VARIABLES { w, source, target, _table_row_first, _table_row_source, _table_row_tap,
                    _table_col_first, _table_col_source, _table_col_tap, _table_channel_start, _table_channel_first, _table_channel_last } #}
{% extends 'common_group.cu' %}
{% block define_N %}
const int _N = {{n_targets}};
{% endblock %}
{% block kernel_maincode %}
    const int _target_channel = _idx % {{n_target_channels}};
    const int _row = (_idx / {{n_target_channels}}) / {{n_target_columns}};
    const int _col = (_idx / {{n_target_channels}}) % {{n_target_columns}};
    const int _first_channel = {{_table_channel_first}}[_target_channel], _last_channel = {{_table_channel_last}}[_target_channel];
    {{c_data_type(variables['target'].dtype)}} _sum = {{'0' if overwrite else target + '[_idx]'}};
    for (int _r={{_table_row_first}}[_row]; _r<{{_table_row_first}}[_row + 1]; _r++)
    for (int _c={{_table_col_first}}[_col]; _c<{{_table_col_first}}[_col + 1]; _c++)
    {
        const size_t _in = ((size_t){{_table_row_source}}[_r]*{{n_columns}} + {{_table_col_source}}[_c])*{{n_channels}};
        const size_t _tap = ((size_t){{_table_row_tap}}[_r]*{{n_column_taps}} + {{_table_col_tap}}[_c])*{{n_channels}};
        for (int _channel=_first_channel; _channel<_last_channel; _channel++)
        {
            const int _fan = _target_channel - {{_table_channel_start}}[_channel];
            if (_fan >= 0 && _fan < {{n_fan_channels}})
                _sum += {{w}}[(_tap + _channel)*{{n_fan_channels}} + _fan]*{{source}}[_in + _channel];
        }
    }
    {{target}}[_idx] = _sum;
{% endblock %}
