{# Runs several steps of one block of the network, then the same steps of the next, as `time_blocks/plan.py` divides them: what a
   block works on stays in the cache. Arrays that blocks hand to each other have a place in memory for each of these steps, and
   for the step before. #}
struct TimeBlocks
{
    struct Kept
    {
        void (*place)(char*);  // lets the code of this thread find the array at an address
        char* array;           // what the last step before has left, and where the last step leaves it
        size_t n_bytes;
        size_t n_neurons;      // of a list of spikes, whose length stands behind it; 0 for other arrays
        char* memory;          // of so many steps, each behind a line of the cache with zeros (see memory.cpp)
        long n_slots;

        static size_t stride(size_t n_bytes) { return 64 + (n_bytes + 63)/64*64; }
        char* at(long step) const { return memory + (step + n_slots)%n_slots*stride(n_bytes) + 64; }
        void copy(const char* from, char* to) const
        {
            const size_t end = n_neurons*sizeof(int32_t), n_spikes = n_neurons ? *(const int32_t*)(from + end) : 0;
            std::copy(from, from + (n_neurons ? n_spikes*sizeof(int32_t) : n_bytes), to);
            if (n_neurons)
                *(int32_t*)(to + end) = n_spikes;
        }
    };
    struct Time { int64_t* timestep; double* t; const double* dt; };

    std::vector<Kept> kept;
    // The number of blocks; for each, the number of functions; and for each of these its index, the number of kept arrays that it
    // uses, their indices, and 1 for the values of the step before.
    std::vector<int> plan;
    long block_steps;

    size_t n_blocks() const { return plan[0]; }

    // Runs steps of the blocks from a position in the plan on, and returns the position behind them.
    const int* run_block(const int* block, void (*const* functions)(), long first, long n, int64_t start, const Time& time) const
    {
        const int* next = block;
        for (long step=first; step<first+n; step++)
        {
            time.timestep[0] = start + step;
            time.t[0] = time.timestep[0]*time.dt[0];
            next = block;
            for (int code=*next++; code>0; code--)
            {
                void (*const function)() = functions[*next++];
                for (int uses=*next++; uses>0; uses--, next+=2)
                    kept[next[0]].place(kept[next[0]].at(step - next[1]));
                function();
            }
        }
        return next;
    }

    void begin() const
    {
        for (const Kept& each : kept)
            each.copy(each.array, each.at(-1));
    }

    void end(long n_steps, int64_t start, const Time& time) const
    {
        for (const Kept& each : kept)
        {
            each.copy(each.at(n_steps - 1), each.array);
            each.place(each.array);
        }
        time.timestep[0] = start + n_steps;
        time.t[0] = time.timestep[0]*time.dt[0];
    }

    void run(void (*const* functions)(), long n_steps, const Time& time) const
    {
        const int64_t start = time.timestep[0];
        begin();
        for (long first=0; first<n_steps; first+=block_steps)
        {
            const int* block = plan.data() + 1;
            for (size_t k=0; k<n_blocks(); k++)
                block = run_block(block, functions, first, std::min(block_steps, n_steps - first), start, time);
        }
        end(n_steps, start, time);
    }
};
