{# A linear operator between graded (non-spiking) variables: target = sum of weight * source, target by target. Where every source
   channel reaches the same target channels, neighbouring targets are added up together, some channels at a time, in registers:
   each weight is read once for all of them, in the order of `panels`. The order of the terms of a sum is always the same. #}
{# USES_VARIABLES { w, source, target, _table_row_first, _table_row_source, _table_row_tap, _table_col_first, _table_col_source, _table_col_tap, _table_channel_start } #}
{% extends 'common_group.cpp' %}
{% block extra_headers %}
#include<algorithm>
{% endblock %}
{% block maincode %}
{% set T, S, W = data_type(variables['target'].dtype), data_type(variables['source'].dtype), data_type(variables['w'].dtype) %}
{% set group_sizes = [4, 2, 1] %}
{% macro add_columns(size, parts, type) %}
            {
            {% for k in range(size) %}{% for part in range(parts) %}
            {{type}} _sum_{{k}}_{{part}} = {{'{}' if overwrite else '*(%s*)(_out + _fan + %d + %d*_lanes)' % (type, k*n_target_channels, part)}};
            {% endfor %}{% endfor %}
            for (int _r=_first_row; _r<_last_row; _r++)
            for (int _c=_first_col; _c<_last_col; _c++)
            {
                const {{S}}* const _in = {{source}} + (size_t){{_table_row_source}}[_r]*{{n_columns*n_channels}};
                {% for k in range(size) %}
                const {{S}}* const _in_{{k}} = _in + (size_t){{_table_col_source}}[_c + {{k}}*_n_taps]*{{n_channels}};
                {% endfor %}
                const {{W}}* _kernel = {{w}} + ((size_t){{_table_row_tap}}[_r]*{{n_column_taps}} + {{_table_col_tap}}[_c])*{{n_channels*n_fan_channels}} + (size_t)_fan*{{n_channels}};
                for (int _channel=0; _channel<{{n_channels}}; _channel++, _kernel+={{'2*_lanes' if parts == 2 else '1'}})
                {
                    {% for part in range(parts) %}
                    {{type}} _weights_{{part}} = *(const {{type}}*)(_kernel + {{part}}*_lanes);
                    {{'_in_register(_weights_%d);' % part if parts > 1}}
                    {% endfor %}
                    {% for k in range(size) %}{% for part in range(parts) %}
                    _sum_{{k}}_{{part}} += _weights_{{part}}*_in_{{k}}[_channel];
                    {% endfor %}{% endfor %}
                }
            }
            {% for k in range(size) %}{% for part in range(parts) %}
            *({{type}}*)(_out + _fan + {{k*n_target_channels}} + {{part}}*_lanes) = _sum_{{k}}_{{part}};
            {% endfor %}{% endfor %}
            }
{% endmacro %}
    // scalar code
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    {% if shared_fan %}
    // Some channels of a target, in a register.
    const int _lanes = {{panel_width//2}};
    // Else GCC reads a weight from memory again for each target.
    #if defined(__GNUC__) && defined(__AVX__)
    #define _in_register(x) asm("" : "+x"(x))
    #else
    #define _in_register(x)
    #endif
    typedef {{T}} _vector __attribute__((vector_size(32), aligned(sizeof({{T}})), may_alias));
    {% endif %}
    for (int _row=0; _row<{{n_target_rows}}; _row++)
    {
    const int _first_row = {{_table_row_first}}[_row], _last_row = {{_table_row_first}}[_row + 1];
    for (int _col=0, _group=1; _col<{{n_target_columns}}; _col+=_group)
    {
        {{T}}* const _out = {{target}} + ((size_t)_row*{{n_target_columns}} + _col)*{{n_target_channels}};
        const int _first_col = {{_table_col_first}}[_col], _last_col = {{_table_col_first}}[_col + 1];
        {% if shared_fan %}
        // Columns that use the same taps.
        const int _n_taps = _last_col - _first_col;
        const auto _same = [&](int _other) {
            return _other < {{n_target_columns}} && {{_table_col_first}}[_other + 1] - {{_table_col_first}}[_other] == _n_taps
                && std::equal({{_table_col_tap}} + _first_col, {{_table_col_tap}} + _last_col, {{_table_col_tap}} + {{_table_col_first}}[_other]);
        };
        int _n_same = 1;
        while (_n_same < {{group_sizes[0]}} && _same(_col + _n_same))
            _n_same++;
        _group = {% for size in group_sizes[:-1] %}_n_same >= {{size}} ? {{size}} : {% endfor %}1;
        {% for size in group_sizes %}
        {{'if (_group == %d)' % size if size > 1 else ''}}
        {
            int _fan = 0;
            for (; _fan + 2*_lanes <= {{n_fan_channels}}; _fan+=2*_lanes)
            {{add_columns(size, 2, '_vector')}}
            for (; _fan<{{n_fan_channels}}; _fan++)
            {{add_columns(size, 1, T)}}
        }
        {{'else' if size > 1 else ''}}
        {% endfor %}
        {% else %}
        {% if overwrite %}
        std::fill(_out, _out + {{n_target_channels}}, 0);
        {% endif %}
        for (int _r=_first_row; _r<_last_row; _r++)
        for (int _c=_first_col; _c<_last_col; _c++)
        {
            const {{S}}* __restrict _in = {{source}} + ((size_t){{_table_row_source}}[_r]*{{n_columns}} + {{_table_col_source}}[_c])*{{n_channels}};
            const {{W}}* __restrict _kernel = {{w}} + ((size_t){{_table_row_tap}}[_r]*{{n_column_taps}} + {{_table_col_tap}}[_c])*{{n_channels*n_fan_channels}};
            {% if diagonal %}
            {{T}}* __restrict _fan = _out + {{first_channel}};
            for (int _channel=0; _channel<{{n_channels}}; _channel++)
                _fan[_channel] += _kernel[_channel]*_in[_channel];
            {% else %}
            for (int _channel=0; _channel<{{n_channels}}; _channel++)
            {
                const {{S}} _value = _in[_channel];
                if (_value == 0)
                    continue;
                {{T}}* __restrict _fan = _out + {{_table_channel_start}}[_channel];
                for (int _f=0; _f<{{n_fan_channels}}; _f++)
                    _fan[_f] += _kernel[_channel*{{n_fan_channels}} + _f]*_value;
            }
            {% endif %}
        }
        {% endif %}
    }
    }
{% endblock %}
