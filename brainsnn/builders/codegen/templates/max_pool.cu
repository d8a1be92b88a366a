{# Maximum of a graded variable over windows, a thread for each window and channel. #}
{# USES_VARIABLES { source, target, _table_row_first, _table_row_last, _table_col_first, _table_col_last } #}
{% extends 'common_group.cu' %}
{% block define_N %}
const int _N = {{n_targets}};
{% endblock %}
{% block kernel_maincode %}
    const int _channel = _idx % {{n_channels}};
    const int _row = (_idx / {{n_channels}}) / {{n_target_columns}};
    const int _col = (_idx / {{n_channels}}) % {{n_target_columns}};
    const int _top = {{_table_row_first}}[_row], _left = {{_table_col_first}}[_col];
    auto _largest = {{source}}[((size_t)_top*{{n_columns}} + _left)*{{n_channels}} + _channel];
    for (int _r=_top; _r<{{_table_row_last}}[_row]; _r++)
    for (int _c=_left; _c<{{_table_col_last}}[_col]; _c++)
    {
        const auto _value = {{source}}[((size_t)_r*{{n_columns}} + _c)*{{n_channels}} + _channel];
        _largest = _value > _largest ? _value : _largest;
    }
    {{target}}[_idx] = _largest;
{% endblock %}
