{# Event-driven convolution: every spike adds its patch of the kernel to the target. The kernel is stored as
   (input channel, row tap, column tap, output channel) with the column taps in the order of the targets, so that one
   row of a patch is one contiguous stretch of weights and, where the channels are full, of targets. Spikes of one pixel
   reach the same targets: up to four of them are added in one pass over these, in their order. The rows
   of the target are divided among threads: each reads all spikes, in the same order, and adds to its own rows. #}
{# USES_VARIABLES { _spikes, w, _table_row_first, _table_row_target, _table_row_tap, _table_col_first, _table_col_target, _table_col_tap, _table_col_length, _table_channel_start } #}
{% extends 'common_group.cpp' %}
{% block maincode %}
{# Inside the block, because Brian2 treats a macro at the top of a template as a part of the code. #}
{% set group_sizes = [4, 2, 1] if contiguous else [1] %}
{% macro add_patch(size, arrays, code) %}
            {
                {% for array in arrays %}
                {% if array.offset == '_target' %}
                {{array.type}}* __restrict {{array.pointer}} = _base_{{loop.index0}} + _target;
                {% else %}
                {% set base = loop.index0 %}
                {% for k in range(size) %}
                {{array.type}}* __restrict {{array.pointer}}_{{k}} = _base_{{base}}
                    + {{'_weight + (_sources[%d] - _sources[0])*_kernel_size' % k if array.offset == '_weight' else '_sources[%d]' % k}};
                {% endfor %}
                {% endif %}
                {% endfor %}
{% include 'independent.cpp' %}
                for (size_t _idx=0; _idx<_length; _idx++)
                {
                    const size_t _vectorisation_idx = _idx;
                    {% for k in range(size) %}
                    {
                        {{single_precision(of_spike(code, arrays, k))|autoindent}}
                    }
                    {% endfor %}
                }
            }
{% endmacro %}
    // scalar code
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    {% set arrays = shifted_arrays(variables, variable_indices, get_array_name, tables) %}
    {% for array in arrays %}
    auto* const _base_{{loop.index0}} = {{array.pointer}};
    {% endfor %}
    const size_t _kernel_size = {{n_row_taps*n_column_taps*n_fan_channels}};
    const int _n_spikes = {{_spikes}}[{{n_sources}}];
    {% if openmp_pragma('with_openmp') %}
    {{openmp_pragma('parallel')}}
    {
    const int _n_threads = {{openmp_pragma('get_num_threads')}}, _thread = {{openmp_pragma('get_thread_num')}};
    const int _first_row = {{n_target_rows}}*_thread/_n_threads, _last_row = {{n_target_rows}}*(_thread + 1)/_n_threads;
    {% endif %}
    for (int _event=0, _group=1; _event<_n_spikes; _event+=_group)
    {
        const int* const _sources = {{_spikes}} + _event;
        const int _pixel = _sources[0] / {{n_channels}};
        const int _row = _pixel / {{n_columns}};
        const int _col = _pixel % {{n_columns}};
        {% if contiguous %}
        // Simultaneous spikes of one pixel are neighbours in the list.
        int _n_same = 1;
        while (_n_same<{{group_sizes[0]}} && _event + _n_same<_n_spikes && _sources[_n_same] / {{n_channels}} == _pixel)
            _n_same++;
        _group = {% for size in group_sizes[:-1] %}_n_same >= {{size}} ? {{size}} : {% endfor %}1;
        {% endif %}
        const int _channel = _sources[0] % {{n_channels}};
        for (int _r={{_table_row_first}}[_row]; _r<{{_table_row_first}}[_row + 1]; _r++)
        {% if openmp_pragma('with_openmp') %}
        if ({{_table_row_target}}[_r] >= _first_row && {{_table_row_target}}[_r] < _last_row)
        {% endif %}
        for (int _c={{_table_col_first}}[_col]; _c<{{_table_col_first}}[_col + 1]; _c++)
        {
            size_t _target = ((size_t){{_table_row_target}}[_r]*{{n_target_columns}} + {{_table_col_target}}[_c])*{{n_target_channels}}
                             + {{_table_channel_start}}[_channel];
            size_t _weight = (((size_t)_channel*{{n_row_taps}} + {{_table_row_tap}}[_r])*{{n_column_taps}}
                              + {{_table_col_tap}}[_c])*{{n_fan_channels}};
            {% if contiguous %}
            const size_t _length = (size_t){{_table_col_length}}[_c]*{{n_fan_channels}};
            {% for size in group_sizes %}
            {{'if (_group == %d)' % size if size > 1 else ''}}
            {{add_patch(size, arrays, vector_code)}}
            {{'else' if size > 1 else ''}}
            {% endfor %}
            {% else %}
            const size_t _length = {{n_fan_channels}};
            for (int _position=0; _position<{{_table_col_length}}[_c];
                 _position++, _target += {{n_target_channels}}, _weight += {{n_fan_channels}})
            {{add_patch(1, arrays, vector_code)}}
            {% endif %}
        }
    }
    {% if openmp_pragma('with_openmp') %}
    }
    {% endif %}
{% endblock %}
