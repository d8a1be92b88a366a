{# Writes the signs of the spikes to be replayed in this step; after the end of the train nothing spikes. #}
{# USES_VARIABLES { train, replayed, timestep } #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}
    const size_t _start = (size_t)({{timestep}})*{{n_sources}};
    const bool _over = _start + {{n_sources}} > (size_t)_numtrain;
    for (size_t _i=0; _i<{{n_sources}}; _i++)
        {{replayed}}[_i] = _over ? 0 : {{train}}[_start + _i];
{% endblock %}
