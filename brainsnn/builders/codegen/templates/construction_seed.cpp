{# Seeds the generators before a network is constructed: connections and values that a user draws are the same in every run
   and every process. #}
    if (const char* directory = getenv("BRAINSNN_TRIALS"))
    {
        using namespace brian;
        unsigned long trial_seed = 0;
        std::ifstream(std::string(directory) + "/construction_seed.txt") >> trial_seed;
{% include 'seed_generators.cpp' %}
    }
