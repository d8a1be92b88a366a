{# Event-driven convolution: every spike adds its patch of the kernel to the target. The kernel is stored as
   (input channel, row tap, column tap, output channel) with the column taps in the order of the targets, so that one
   row of a patch is one contiguous stretch of weights and, where the channels are full, of targets. Threads share the
   rows of the target out: each sees all spikes, in the same order, and adds what falls into its own rows. #}
{# USES_VARIABLES { _spikes, w, row_first, row_target, row_tap, col_first, col_target, col_tap, col_length, channel_start } #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    // scalar code
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    {% for array in shifted_arrays(variables, variable_indices, get_array_name, tables) %}
    auto* const _base_{{loop.index0}} = {{array.pointer}};
    {% endfor %}
    const int _n_spikes = {{_spikes}}[{{n_sources}}];
    {% if openmp_pragma('with_openmp') %}
    {{openmp_pragma('parallel')}}
    {
    const int _n_threads = {{openmp_pragma('get_num_threads')}}, _thread = {{openmp_pragma('get_thread_num')}};
    const int _first_row = {{n_target_rows}}*_thread/_n_threads, _last_row = {{n_target_rows}}*(_thread + 1)/_n_threads;
    {% endif %}
    for (int _event=0; _event<_n_spikes; _event++)
    {
        const int _source = {{_spikes}}[_event];
        const int _channel = _source % {{n_channels}};
        const int _row = (_source / {{n_channels}}) / {{n_columns}};
        const int _col = (_source / {{n_channels}}) % {{n_columns}};
        for (int _r={{row_first}}[_row]; _r<{{row_first}}[_row + 1]; _r++)
        {% if openmp_pragma('with_openmp') %}
        if ({{row_target}}[_r] >= _first_row && {{row_target}}[_r] < _last_row)
        {% endif %}
        for (int _c={{col_first}}[_col]; _c<{{col_first}}[_col + 1]; _c++)
        {
            size_t _target = ((size_t){{row_target}}[_r]*{{n_target_columns}} + {{col_target}}[_c])*{{n_target_channels}}
                             + {{channel_start}}[_channel];
            size_t _weight = (((size_t)_channel*{{n_row_taps}} + {{row_tap}}[_r])*{{n_column_taps}}
                              + {{col_tap}}[_c])*{{n_fan_channels}};
            {% if contiguous %}
            const size_t _length = (size_t){{col_length}}[_c]*{{n_fan_channels}};
            {% else %}
            const size_t _length = {{n_fan_channels}};
            for (int _position=0; _position<{{col_length}}[_c];
                 _position++, _target += {{n_target_channels}}, _weight += {{n_fan_channels}})
            {% endif %}
            {
                {% for array in shifted_arrays(variables, variable_indices, get_array_name, tables) %}
                {{array.type}}* __restrict {{array.pointer}} = _base_{{loop.index0}} + {{array.offset}};
                {% endfor %}
                for (size_t _idx=0; _idx<_length; _idx++)
                {
                    const size_t _vectorisation_idx = _idx;
                    {{single_precision(vector_code)|autoindent}}
                }
            }
        }
    }
    {% if openmp_pragma('with_openmp') %}
    }
    {% endif %}
{% endblock %}
