{# Runs the trials inside main(), for programs whose arrays are in the memory of the processor. #}
{
{% include 'trial_files.cpp' %}

    for (long k=0; k<n_shared; k++)
    {
        Source source;
        open(source);
        source.file.read(source.array.data, source.array.bytes);
    }
    auto fetch = [](const Array& array) -> const char* { return array.data; };
{% include 'finite.cpp' %}
{% include 'initial_state.cpp' %}

    std::vector<std::vector<char> > initial;
    for (const Array& array : state)
        initial.push_back(std::vector<char>(array.data, array.data + array.bytes));
    std::vector<Source> sources(n_per_trial);
    for (Source& source : sources)
        open(source);
    {% for train in trains %}
    std::ifstream train_{{train.name}}(path + "/{{train.name}}.train", std::ios::binary);
    {% endfor %}
    std::ifstream seeds(path + "/seeds.txt");
    {% block open_recordings %}
    {% endblock %}
    for (long trial=0; trial<n_trials; trial++)
    {
        for (size_t k=0; k<state.size(); k++)
            std::copy(initial[k].begin(), initial[k].end(), state[k].data);
        for (Source& source : sources)
            source.file.read(source.array.data, source.array.bytes);
        {% block read_trains %}
        {% for train in trains %}
        if (train_{{train.name}})
        {
            {{train.array}}.resize(n_steps*{{train.n_neurons}});
            train_{{train.name}}.read((char*)&{{train.array}}[0], {{train.array}}.size());
        }
        {% endfor %}
        {% endblock %}
        unsigned long trial_seed;
        seeds >> trial_seed;
        {% block run_trial %}
        {% endblock %}
        std::cout << "trial" << std::endl;
    }
}
