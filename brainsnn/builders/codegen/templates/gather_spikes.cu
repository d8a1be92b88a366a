{# What the projections share: a bit map of the sources that spiked, then a thread for each target that reads it. A
   target belongs to one thread, which adds in the order of the sources, so that the sum does not depend on how threads
   run. A child template has the loop over the sources in block `sources`, with spike_statement.cu for each spike. #}
{% extends 'common_group.cu' %}

{% block define_N %}
const int _N = {{n_targets}};
{% endblock %}

{% block kernel_maincode %}
    // scalar code
    {{scalar_code|autoindent}}

    if ({{_spikespace}}[{{n_sources}}] == 0)
        return;
    const unsigned int* const _bit_map = (const unsigned int*){{_table_spiked}};
    const int _target = _idx;
    {% for array in shifted_arrays(variables, variable_indices, get_array_name, tables) %}
    auto* const _base_{{loop.index0}} = {{array.pointer}};
    {% if array.offset == '_target' %}
    {{array.type}} _own_{{loop.index0}} = _base_{{loop.index0}}[_target];
    {% endif %}
    {% endfor %}
    {% block sources %}
    {% endblock %}
    {% for array in shifted_arrays(variables, variable_indices, get_array_name, tables) %}
    {% if array.offset == '_target' and is_written(vector_code, array.pointer) %}
    _base_{{loop.index0}}[_target] = _own_{{loop.index0}};
    {% endif %}
    {% endfor %}
{% endblock %}

{% block extra_kernel_definitions %}
__global__ void _mark_{{codeobj_name}}(const int32_t* _events, unsigned int* _bits)
{
    const int _n_events = _events[{{n_sources}}];
    for (int _event=blockIdx.x*blockDim.x + threadIdx.x; _event<_n_events; _event+=gridDim.x*blockDim.x)
    {
        const int _place = _events[_event] / {{n_channels}}, _channel = _events[_event] % {{n_channels}};
        atomicOr(_bits + (size_t)_place*{{n_channel_words}} + _channel/32, 1u << (_channel % 32));
    }
}
{% endblock %}

{% block extra_kernel_call %}
    {% set _spikes_name = get_array_name(variables['_spikespace'], access_data=False) %}
    {% set _bits_name = get_array_name(variables['_table_spiked'], access_data=False) %}
    CUDA_SAFE_CALL(cudaMemset(dev{{_bits_name}}, 0, {{n_words}}*sizeof(int32_t)));
    _mark_{{codeobj_name}}<<<{{(n_sources + 4095)//4096}}, 256>>>(
            dev{{_spikes_name}}[current_idx{{_spikes_name}}], (unsigned int*)dev{{_bits_name}}
        );
    CUDA_CHECK_ERROR("_mark_{{codeobj_name}}");
{% endblock %}
