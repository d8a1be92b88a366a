{# Runs the trials of a GeNN program. GeNN hands the spikes of a step over at the beginning of the next one, so what spikes
   alone write is one step late. With such recordings one more step is run, and each monitor drops the step that it has too
   many: the late ones the first, the others the last. #}
{% extends 'trials.cpp' %}
{% macro cut_back(monitor, n) %}
                {% for array in monitor.arrays %}
                {{array.name}}.resize({{n}}{{ ', ' ~ array.width if array.width is not none }});
                {% endfor %}
                {{monitor.count}}[0] = {{n}};
{% endmacro %}
{% macro recorded() %}{ {%- for monitor in monitors %}{{monitor.count}}[0], {% endfor -%} }{% endmacro %}
{% block open_recordings %}
    {% for train in trains %}
    std::vector<int8_t> signs_{{train.name}};
    {% endfor %}
    std::ofstream ends("results/trial_ends", std::ios::binary);
{% endblock %}
{% block read_trains %}
        {% for train in trains %}
        if (train_{{train.name}})
        {
            signs_{{train.name}}.resize(n_steps*{{train.n_neurons}});
            train_{{train.name}}.read((char*)signs_{{train.name}}.data(), signs_{{train.name}}.size());
        }
        {% endfor %}
{% endblock %}
{% block run_trial %}
        {% if seeded %}
        std::mt19937_64 generator(trial_seed);
        {% for model in seeded %}
        for (size_t k=0; k<{{model.N}}; k++)
            _seed{{model.name}}[k] = generator();
        {% endfor %}
        {% endif %}
        t = 0;
        iT = 0;
        {% for model in models %}
        spikeCount_{{model.name}} = 0;
        push{{model.name}}CurrentSpikesToDevice();
        push{{model.name}}StateToDevice();
        {% for name in model.shared_variables %}
        brian::_array_{{model.name}}_{{name}}[0] = {{name}}{{model.name}};
        {% endfor %}
        {% endfor %}
        for (long step=0; step<n_steps + {{1 if late else 0}}; step++)
        {
            {% for train in trains %}
            if (train_{{train.name}} && !signs_{{train.name}}.empty())
            {
                for (size_t k=0; k<{{train.n_neurons}}; k++)
                    replayed{{train.target}}[k] = step < n_steps ? signs_{{train.name}}[step*{{train.n_neurons}} + k] : 0;
                pushreplayed{{train.target}}ToDevice();
            }
            {% endfor %}
            const std::vector<int64_t> before = {{recorded()}};
            eng.run(DT);
            if (step == n_steps - 1)
            {
                {% for model in models %}
                pull{{model.name}}StateFromDevice();
                {% endfor %}
                note_not_finite(trial, "results/not_finite");
            }
            {% if late %}
            if (step == 0)
            {
                {% for monitor in monitors if monitor.name in late %}
                {{cut_back(monitor, 'before[' ~ monitor.index ~ ']')}}
                {% endfor %}
            }
            if (step == n_steps)
            {
                {% for monitor in monitors if monitor.name not in late %}
                {{cut_back(monitor, 'before[' ~ monitor.index ~ ']')}}
                {% endfor %}
            }
            {% endif %}
        }
        const std::vector<int64_t> recorded = {{recorded()}};
        ends.write((const char*)recorded.data(), recorded.size()*sizeof(int64_t));
{% endblock %}
