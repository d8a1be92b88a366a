{# Runs several steps of one block of the network, then the same steps of the next, as `time_blocks/plan.py` divides them: what a
   block works on stays in the cache. Arrays that blocks hand to each other have a place in memory for each of these steps. #}
struct TimeBlocks
{
    struct Kept
    {
        void (*place)(char*);  // lets the code find the array at an address
        char* array;           // what the last step before has left, and where the last step leaves it
        size_t n_bytes;
        size_t n_neurons;      // of a list of spikes, whose length stands behind it; 0 for other arrays
        char* memory;          // of all steps, each behind a line of the cache with zeros (see memory.cpp)

        static size_t stride(size_t n_bytes) { return 64 + (n_bytes + 63)/64*64; }
        char* at(long step) const { return step < 0 ? array : memory + step*stride(n_bytes) + 64; }
        void leave(long step) const
        {
            const char* const last = at(step);
            const size_t end = n_neurons*sizeof(int32_t), n_spikes = n_neurons ? *(const int32_t*)(last + end) : 0;
            std::copy(last, last + (n_neurons ? n_spikes*sizeof(int32_t) : n_bytes), array);
            if (n_neurons)
                *(int32_t*)(array + end) = n_spikes;
            place(array);
        }
    };
    std::vector<Kept> kept;
    // The number of blocks; for each, the number of functions; and for each of these its index, the number of kept arrays that it
    // uses, their indices, and 1 for the values of the step before.
    std::vector<int> plan;
    long block_steps;

    void run(void (*const* functions)(), long n_steps, int64_t* timestep, double* t, const double* dt) const
    {
        const int64_t start = timestep[0];
        for (long first=0; first<n_steps; first+=block_steps)
        {
            const long n = block_steps < n_steps - first ? block_steps : n_steps - first;
            const int* next = plan.data();
            for (int block=*next++; block>0; block--)
            {
                const int* const own = next;
                for (long step=0; step<n; step++)
                {
                    timestep[0] = start + first + step;
                    t[0] = timestep[0]*dt[0];
                    next = own;
                    for (int code=*next++; code>0; code--)
                    {
                        void (*const function)() = functions[*next++];
                        for (int uses=*next++; uses>0; uses--, next+=2)
                            kept[next[0]].place(kept[next[0]].at(step - next[1]));
                        function();
                    }
                }
            }
            for (const Kept& each : kept)
                each.leave(n - 1);
        }
        timestep[0] = start + n_steps;
        t[0] = timestep[0]*dt[0];
    }
};
