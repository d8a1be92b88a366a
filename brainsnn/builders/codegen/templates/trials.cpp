{# The part of main() that runs the trials of a program in C++ standalone mode or of GeNN. #}
{
{% include 'trial_files.cpp' %}

    for (long k=0; k<n_shared; k++)
    {
        Source source;
        open(source);
        source.file.read(source.array.data, source.array.bytes);
    }
    std::vector<std::vector<char> > initial;
    for (const Array& array : state)
        initial.push_back(std::vector<char>(array.data, array.data + array.bytes));
    std::vector<Source> sources(n_per_trial);
    for (Source& source : sources)
        open(source);
    {{open_trains}}
    std::ifstream seeds(path + "/seeds.txt");
    {{open_recordings}}
    for (long trial=0; trial<n_trials; trial++)
    {
        for (size_t k=0; k<state.size(); k++)
            std::copy(initial[k].begin(), initial[k].end(), state[k].data);
        for (Source& source : sources)
            source.file.read(source.array.data, source.array.bytes);
        {{read_trains}}
        unsigned long trial_seed;
        seeds >> trial_seed;
        {{seed}}
        {{run}}
        {{write_recordings}}
        std::cout << "trial" << std::endl;
    }
}
