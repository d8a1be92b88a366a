{# Runs the trials inside main() of a CUDA program, in the place of Brian2's run. #}
{
{% include 'trial_files.cpp' %}

    auto upload = [](Source& source) {
        std::vector<char> values(source.array.bytes);
        source.file.read(values.data(), values.size());
        CUDA_SAFE_CALL(cudaMemcpy(source.array.data, values.data(), values.size(), cudaMemcpyHostToDevice));
    };
    for (long k=0; k<n_shared; k++)
    {
        Source source;
        open(source);
        upload(source);
    }
    std::vector<char> fetched;
    auto fetch = [&](const Array& array) -> const char* {
        fetched.resize(array.bytes);
        CUDA_SAFE_CALL(cudaMemcpy(fetched.data(), array.data, array.bytes, cudaMemcpyDeviceToHost));
        return fetched.data();
    };
{% include 'finite.cpp' %}
{% include 'initial_state.cpp' %}

    // What the state is reset to stays on the device.
    std::vector<char*> initial;
    for (const Array& array : state)
    {
        initial.push_back(NULL);
        CUDA_SAFE_CALL(cudaMalloc((void**)&initial.back(), array.bytes));
        CUDA_SAFE_CALL(cudaMemcpy(initial.back(), array.data, array.bytes, cudaMemcpyDeviceToDevice));
    }
    std::vector<Source> sources(n_per_trial);
    for (Source& source : sources)
        open(source);
    {% for train in trains %}
    std::ifstream train_{{train.name}}(path + "/{{train.name}}.train", std::ios::binary);
    {% endfor %}
    std::ifstream seeds(path + "/seeds.txt");
    std::ofstream ends(results_dir + "trial_ends", std::ios::binary);
    {% for monitor in monitors %}
    int64_t end_{{monitor.name}} = 0;
    {% for array in monitor.arrays %}
    std::ofstream file_{{array.array}}(results_dir + "trials_{{array.array}}", std::ios::binary);
    {% endfor %}
    {% endfor %}
    for (long trial=0; trial<n_trials; trial++)
    {
        for (size_t k=0; k<state.size(); k++)
            CUDA_SAFE_CALL(cudaMemcpy(state[k].data, initial[k], state[k].bytes, cudaMemcpyDeviceToDevice));
        for (Source& source : sources)
            upload(source);
        {% for train in trains %}
        if (train_{{train.name}})
        {
            {{train.array}}.resize(n_steps*{{train.n_neurons}});
            train_{{train.name}}.read((char*)&{{train.array}}[0], {{train.array}}.size());
            dev{{train.array}} = {{train.array}};
        }
        {% endfor %}
        // A new buffer of random numbers, so that those of a trial follow from its seed alone.
        unsigned long trial_seed;
        seeds >> trial_seed;
        {% for allocator in random_numbers %}
        if (trial > 0)
            CUDA_SAFE_CALL(cudaFree({{allocator}}));
        {% endfor %}
        random_number_buffer = RandomNumberBuffer();
        random_number_buffer.set_seed(trial_seed);
        {{network}}.t = 0;
        {% for clock in clocks %}
        {{clock}}.t[0] = 0;
        {% endfor %}
        {{network}}.run(n_steps*trial_dt, NULL, 10.0);
        note_not_finite(trial, results_dir + "not_finite");
        {% for monitor in monitors %}
        end_{{monitor.name}} += _array_{{monitor.name}}_N[0];
        ends.write((const char*)&end_{{monitor.name}}, sizeof(int64_t));
        {% for array in monitor.arrays %}
        {% if monitor.width is none %}
        {
            const thrust::host_vector<{{array.type}}> values = dev{{array.array}};
            const char* data = (const char*)thrust::raw_pointer_cast(values.data());
            file_{{array.array}}.write(data, values.size()*sizeof({{array.type}}));
            dev{{array.array}}.clear();
        }
        {% else %}
        {
            // One array for each neuron, as brian2cuda keeps them: written step by step.
            std::vector<{{array.type}}> values(n_steps*{{monitor.width}});
            for (int neuron=0; neuron<{{monitor.width}}; neuron++)
            {
                const thrust::host_vector<{{array.type}}> course = {{array.array}}[neuron];
                for (long step=0; step<n_steps; step++)
                    values[step*{{monitor.width}} + neuron] = course[step];
            }
            file_{{array.array}}.write((const char*)values.data(), values.size()*sizeof({{array.type}}));
        }
        {% endif %}
        {% endfor %}
        {% if monitor.width is not none %}
        _dynamic_array_{{monitor.name}}_t.clear();
        {% endif %}
        _array_{{monitor.name}}_N[0] = 0;
        {% endfor %}
        std::cout << "trial" << std::endl;
    }
    for (char* values : initial)
        CUDA_SAFE_CALL(cudaFree(values));
}
