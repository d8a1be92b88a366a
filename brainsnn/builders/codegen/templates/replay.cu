{# Writes the signs of the spikes to be replayed in this step; after the end of the train nothing spikes. #}
{# USES_VARIABLES { train, replayed, timestep } #}
{% extends 'common_group.cu' %}
{% block define_N %}
const int _N = {{n_sources}};
{% endblock %}
{% block kernel_maincode %}
    const size_t _start = (size_t)({{timestep}})*{{n_sources}};
    {{replayed}}[_idx] = _start + {{n_sources}} > (size_t)_numtrain ? 0 : {{train}}[_start + _idx];
{% endblock %}
