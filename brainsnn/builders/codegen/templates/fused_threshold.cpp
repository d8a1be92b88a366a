{# State update and threshold test in one pass. Blocks of neurons are updated and tested first, in a loop that the compiler can
   vectorise, with a number as wide as the state for each test; the few blocks in which a neuron spiked are then searched. The
   blocks are divided among threads in their order. Each thread lists its spikes from the index of its first neuron on, and the
   lists are joined at the end. #}
{# USES_VARIABLES { N } #}
{% extends 'common_group.cpp' %}
{% block extra_headers %}
#include<algorithm>
#include<cstring>
{% endblock %}
{% block maincode %}
{% macro update(n) %}
{% include 'independent.cpp' %}
            for (size_t _i=0; _i<{{n}}; _i++)
            {
                const size_t _idx = _start + _i;
                const size_t _vectorisation_idx = _idx;
                {{single_precision(vector_code)|autoindent}}
                _spiked[_i] = _cond;
                _any |= _spiked[_i];
            }
{% endmacro %}
    // scalar code
    const int _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    {% set _eventspace = get_array_name(eventspace_variable) %}
    const size_t _block_size = 64;
    {% if openmp_pragma('with_openmp') %}
    const size_t _n_threads = {{openmp_pragma('get_num_threads')}};
    const size_t _n_blocks = (N + _block_size - 1)/_block_size;
    size_t _counts[{{openmp_pragma('get_num_threads')}}];
    {{openmp_pragma('parallel')}}
    {
    const size_t _thread = {{openmp_pragma('get_thread_num')}};
    const size_t _first = _n_blocks*_thread/_n_threads*_block_size;
    const size_t _last = std::min((size_t)N, _n_blocks*(_thread + 1)/_n_threads*_block_size);
    {% else %}
    const size_t _first = 0, _last = N;
    {% endif %}
    size_t _count = _first;
    for (size_t _start=_first; _start<_last; _start+=_block_size)
    {
        {{test_type()}} _spiked[_block_size], _any = 0;
        const size_t _size = _last - _start < _block_size ? _last - _start : _block_size;
        // With a length that the compiler knows, for all blocks but the last.
        if (_size == _block_size)
        {
            {{update('_block_size')}}
        }
        else
        {
            {{update('_size')}}
        }
        if (!_any)
            continue;
        char _found[_block_size];
        for (size_t _i=0; _i<_block_size; _i++)
            _found[_i] = _i < _size ? _spiked[_i] : 0;
        for (size_t _word=0; _word<_block_size; _word+=8)
        {
            uint64_t _bytes;
            std::memcpy(&_bytes, _found + _word, 8);
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
    {% if openmp_pragma('with_openmp') %}
    _counts[_thread] = _count - _first;
    }
    size_t _total = 0;
    for (size_t _thread=0; _thread<_n_threads; _thread++)
    {
        const size_t _first = _n_blocks*_thread/_n_threads*_block_size;
        std::memmove({{_eventspace}} + _total, {{_eventspace}} + _first, _counts[_thread]*sizeof({{_eventspace}}[0]));
        _total += _counts[_thread];
    }
    {{_eventspace}}[N] = _total;
    {% else %}
    {{_eventspace}}[N] = _count;
    {% endif %}
{% endblock %}

{% block after_code %}
{% set _eventspace = get_array_name(eventspace_variable) %}
{{_eventspace}}[N] = 0;
{% endblock %}
