{# Runs the trials of a C++ standalone program. Recordings go straight into their files: after each trial, or after each
   chunk of a trial that streams to disk. #}
{% extends 'trials.cpp' %}
{% block open_recordings %}
{% if blocks %}
{% include 'time_blocks.cpp' %}

    TimeBlocks blocks;
    blocks.plan = { {{blocks.plan|join(', ')}} };
    blocks.block_steps = {{blocks.n_steps}};
    {% for array in blocks.kept %}
    {
        // Not by new[]: most of the memory for lists of spikes is never touched.
        const size_t line = 64, n_slots = blocks.block_steps + 1;
        char* const memory = (char*)std::calloc(1, line + n_slots*TimeBlocks::Kept::stride({{array.n_bytes}}));
        if (memory == NULL)
            throw std::bad_alloc();
        blocks.kept.push_back({
            [](char* p) { {{array.data}} = ({{array.type}}*)p; }, (char*){{array.data}}, {{array.n_bytes}}, {{array.n_neurons}},
            memory + line - (size_t)memory%line, (long)n_slots});
    }
    {% endfor %}
    void (*const step_functions[])() = { {% for step in steps %}_run_{{step.code}}, {% endfor %} nullptr};
{% endif %}
    std::set<std::string> switched_off;
    std::ifstream switches(path + "/switched_off.txt");
    for (std::string name; switches >> name; )
        switched_off.insert(name);
    if (!switched_off.empty())
    {
        {{network}}.clear();
        {% for step in steps %}
        if (!switched_off.count("{{step.object}}"))
            {{network}}.add(&{{step.clock}}, _run_{{step.code}});
        {% endfor %}
    }
    std::ofstream counts_file("results/trial_counts", std::ios::binary);
    bool disk_is_full(int error);  // in objects.cpp
    // A recorded variable. A chunk is appended to the file, or gets a file of its own if the target is a folder of chunks.
    struct Stream
    {
        std::string target;
        bool in_chunks;
        std::ofstream file;
        void open(const std::string& path, bool separate, std::streamoff start)
        {
            target = path;
            in_chunks = separate;
            if (in_chunks)
                return;
            file.open(path, std::ios::binary | std::ios::in | std::ios::out);
            file.seekp(start);
            check();
        }
        void begin(long trial, long number)
        {
            if (in_chunks)
                file.open(target + "/c." + std::to_string(trial) + "." + std::to_string(number) + ".0", std::ios::binary);
        }
        void end(size_t missing)
        {
            if (in_chunks)
            {
                const std::vector<char> nothing(missing, 0);
                file.write(nothing.data(), missing);
                file.close();
            }
            else
                file.flush();
            check();
        }
        void check()
        {
            if (file.fail())
                cannot_write(target);
        }
        static void cannot_write(const std::string& target)
        {
            const std::error_code error(errno, std::generic_category());
            std::cerr << "Cannot write recordings to '" << target << "': " << error.message() << std::endl;
            // At once: destructors would try to write again.
            _Exit(disk_is_full(error.value()) ? {{disk_full}} : 1);
        }
    };
    std::vector<Stream> streams({{n_streams}});
    std::ifstream targets(path + "/targets", std::ios::binary);
    for (Stream& stream : streams)
    {
        int in_chunks;
        std::streamoff start;
        std::string target;
        manifest >> in_chunks >> start;
        std::getline(targets, target, '\0');
        stream.open(target, in_chunks, start);
    }
{% endblock %}
{% block run_trial %}
{% include 'seed_generators.cpp' %}
        // Spikes of the last trial that are still in a queue.
        {% for pathway in pathways %}
        for (auto* queue : {{pathway}}.queue)
            for (auto& spikes : queue->queue)
                spikes.clear();
        {% endfor %}
        {% for clock in clocks %}
        {{clock}}.t[0] = 0;
        {% endfor %}
        std::vector<int64_t> counts({{monitors|length}}, 0);
        for (long first=0; first<n_steps; first+=chunk_steps)
        {
            // Set t for each chunk: adding up chunk lengths would accumulate rounding errors.
            {{network}}.t = first*trial_dt;
            const long n_chunk = std::min(chunk_steps, n_steps - first);
            {% if blocks %}
            if (switched_off.empty())
            {
                {{blocks.clock}}.timestep[0] = first;
                blocks.run(step_functions, n_chunk, { {{blocks.clock}}.timestep, {{blocks.clock}}.t, {{blocks.clock}}.dt });
            }
            else
            {% endif %}
            {{network}}.run(n_chunk*trial_dt, NULL, 10.0);
            {% for monitor in monitors %}
            {% for state in monitor.states %}
            {
                Stream& stream = streams[{{state.stream}}];
                const size_t width = {{monitor.width}}*sizeof({{state.array}}((size_t)0, (size_t)0));
                const long n = {{monitor.count}}[0];
                stream.begin(first_trial + trial, first/chunk_steps);
                for (long row=0; row<n; row++)
                    stream.file.write((const char*)&{{state.array}}((size_t)row, (size_t)0), width);
                stream.end((chunk_steps - n)*width);
                {{state.array}}.resize(0, {{monitor.width}});
            }
            {% endfor %}
            {% if monitor.spikes %}
            {
                const long n = {{monitor.count}}[0];
                std::vector<int32_t> steps(n);
                for (long k=0; k<n; k++)
                    steps[k] = (int32_t)lround({{monitor.times}}[k]/trial_dt);
                Stream& neuron_stream = streams[{{monitor.spikes.stream}}];
                Stream& step_stream = streams[{{monitor.spikes.stream + 1}}];
                if (n > 0)
                    neuron_stream.file.write((const char*)&{{monitor.spikes.neurons}}[0], n*sizeof(int32_t));
                neuron_stream.end(0);
                step_stream.file.write((const char*)steps.data(), n*sizeof(int32_t));
                step_stream.end(0);
                {{monitor.spikes.neurons}}.resize(0);
            }
            {% endif %}
            counts[{{loop.index0}}] += {{monitor.count}}[0];
            {{monitor.count}}[0] = 0;
            {% if monitor.times %}
            {{monitor.times}}.resize(0);
            {% endif %}
            {% endfor %}
        }
        note_not_finite(trial, "results/not_finite");
        // From here on the trial counts as complete.
        counts_file.write((const char*)counts.data(), counts.size()*sizeof(int64_t));
        if (!counts_file.flush())
            Stream::cannot_write("results/trial_counts");
{% endblock %}
