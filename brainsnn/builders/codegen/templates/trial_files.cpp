{# Opens the files of the trials, in every compiled program. Arrays that a trial may set are found by name in a table, so
   that images, parameters and seeds reach a compiled program as files. #}
    struct Array { std::string name; char* data; size_t bytes; };
    struct Source { Array array; std::ifstream file; };
    const std::vector<Array> settable = {
    {% for array in settable %}
        {"{{array.name}}", (char*){{array.data}}, {{array.n_bytes}}},
    {% endfor %}
    };
    const std::vector<Array> state = {
    {% for array in state %}
        {"{{array.name}}", (char*){{array.data}}, {{array.n_bytes}}},
    {% endfor %}
    };
    const char* directory = getenv("BRAINSNN_TRIALS");
    if (directory == NULL)
    {
        std::cerr << "BRAINSNN_TRIALS does not name the directory of the trials." << std::endl;
        return 1;
    }
    const std::string path(directory);
    void end_with(const char* process);  // in objects.cpp
    end_with(getenv("BRAINSNN_PARENT"));
    std::ifstream manifest(path + "/manifest.txt");
    long first_trial, n_trials, n_steps, chunk_steps, n_shared, n_per_trial;
    double trial_dt;
    manifest >> first_trial >> n_trials >> n_steps >> chunk_steps >> trial_dt >> n_shared >> n_per_trial;
    auto open = [&](Source& source) {
        std::string name, file;
        manifest >> name >> file;
        for (const Array& array : settable)
            if (array.name == name)
                source.array = array;
        source.file.open(path + "/" + file, std::ios::binary);
        if (source.array.name.empty() || !source.file)
        {
            std::cerr << "Cannot set '" << name << "' from '" << file << "'." << std::endl;
            exit(1);
        }
    };
