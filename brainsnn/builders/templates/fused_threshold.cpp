{# State update and threshold test in one pass. Blocks of neurons are updated and tested first, in a loop that the
   compiler can vectorise, and then searched for the few that spiked. #}
{# USES_VARIABLES { N } #}
{% extends 'common_group.cpp' %}
{% block extra_headers %}
#include<cstring>
{% endblock %}
{% block maincode %}
    // scalar code
    const int _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    {% set _eventspace = get_array_name(eventspace_variable) %}
    const size_t _block_size = 512;
    long _count = 0;
    for (size_t _start=0; _start<N; _start+=_block_size)
    {
        char _spiked[_block_size];
        const size_t _size = N - _start < _block_size ? N - _start : _block_size;
        // Each neuron has its own element of every array, which the compiler cannot see.
        #pragma GCC ivdep
        for (size_t _i=0; _i<_size; _i++)
        {
            const size_t _idx = _start + _i;
            const size_t _vectorisation_idx = _idx;
            {{single_precision(vector_code)|autoindent}}
            _spiked[_i] = _cond;
        }
        std::memset(_spiked + _size, 0, _block_size - _size);
        for (size_t _word=0; _word<_size; _word+=8)
        {
            uint64_t _bytes;
            std::memcpy(&_bytes, _spiked + _word, 8);
            for (; _bytes; _bytes&=_bytes - 1)
            {
                const size_t _idx = _start + _word + __builtin_ctzll(_bytes)/8;
                {{_eventspace}}[_count++] = _idx;
                {% if _uses_refractory %}
                {{not_refractory}}[_idx] = false;
                {{lastspike}}[_idx] = {{t}};
                {% endif %}
            }
        }
    }
    {{_eventspace}}[N] = _count;
{% endblock %}

{% block after_code %}
{% set _eventspace = get_array_name(eventspace_variable) %}
{{_eventspace}}[N] = 0;
{% endblock %}
