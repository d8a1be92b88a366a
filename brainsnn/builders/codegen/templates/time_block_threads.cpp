{# Runs blocks in several threads, each some blocks one after the other in the plan: while one thread runs the next steps of its
   blocks, the thread behind it runs the steps before. Every block does what it does in one thread. #}
struct BlockThreads
{
    const TimeBlocks& blocks;
    const long n_steps;
    double* const cost;      // seconds of each block so far, by which the blocks are divided
    const int* const clock;  // places of timestep and t, -1 if no code uses them

    int64_t start = 0;
    std::vector<const int*> first_of;  // where each block starts in the plan
    std::mutex mutex;
    std::condition_variable turned;
    size_t n_waiting = 0;
    long round = 0;
    enum { STARTING, ALL_STARTED, CANCELLED } state = STARTING;

    BlockThreads(const TimeBlocks& blocks, long n_steps, double* cost, const int* clock)
        : blocks(blocks), n_steps(n_steps), cost(cost), clock(clock) {}

    // Waits until all threads have arrived.
    void wait(size_t n_threads)
    {
        std::unique_lock<std::mutex> lock(mutex);
        const long mine = round;
        if (++n_waiting == n_threads)
        {
            n_waiting = 0;
            round++;
            turned.notify_all();
        }
        else
            turned.wait(lock, [&]{ return round != mine; });
    }

    // The first block of each thread, such that the longest share is as short as possible.
    std::vector<size_t> shares(size_t n_threads) const
    {
        const size_t n = blocks.n_blocks();
        std::vector<double> costs(cost, cost + n);
        double low = 0, high = 0;
        for (double& each : costs)
        {
            each += 1e-9;
            low = std::max(low, each);
            high += each;
        }
        std::vector<size_t> first;
        for (int k=0; k<50; k++)
        {
            const double limit = k == 49 ? high : (low + high)/2;
            double sum = 0;
            first.assign(1, 0);
            for (size_t block=0; block<n; block++)
            {
                if (sum + costs[block] > limit)
                {
                    first.push_back(block);
                    sum = 0;
                }
                sum += costs[block];
            }
            (first.size() <= n_threads ? high : low) = limit;
        }
        first.resize(n_threads, n);
        first.push_back(n);
        return first;
    }

    void run_share(size_t thread, const std::vector<size_t>& first, const TimeBlocks::Time& time)
    {
        NoDenormals guard;
        const size_t n_threads = first.size() - 1;
        const long n_parts = (n_steps + blocks.block_steps - 1)/blocks.block_steps;
        for (long part=-(long)thread; part<n_parts + (long)(n_threads - thread) - 1; part++)
        {
            if (part >= 0 && part < n_parts)
                for (size_t block=first[thread]; block<first[thread + 1]; block++)
                {
                    const auto before = std::chrono::steady_clock::now();
                    const long step = part*blocks.block_steps;
                    blocks.run_block(first_of[block], functions, step, std::min(blocks.block_steps, n_steps - step), start, time);
                    cost[block] += std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
                }
            wait(n_threads);
        }
    }

    // Lets threads begin, or end, that wait for all of them to be there.
    void set(decltype(state) value)
    {
        std::lock_guard<std::mutex> lock(mutex);
        state = value;
        turned.notify_all();
    }

    bool may_begin()
    {
        std::unique_lock<std::mutex> lock(mutex);
        turned.wait(lock, [&]{ return state != STARTING; });
        return state == ALL_STARTED;
    }

    // Returns false, with nothing done, if the operating system gives no further threads.
    bool run(size_t n_threads, const TimeBlocks::Time& time)
    {
        start = time.timestep[0];
        const int* next = blocks.plan.data() + 1;
        for (size_t block=0; block<blocks.n_blocks(); block++)
        {
            first_of.push_back(next);
            for (int code=*next++; code>0; code--)
                next += 2 + 2*next[1];
        }
        const std::vector<size_t> first = shares(n_threads);
        std::vector<std::thread> others;
        const auto share = [&](size_t thread) {
            if (may_begin())
            {
                int64_t timestep;
                double t;
                attach_here();
                if (clock[0] >= 0)
                    places[clock[0]]((char*)&timestep);
                if (clock[1] >= 0)
                    places[clock[1]]((char*)&t);
                run_share(thread, first, {&timestep, &t, time.dt});
            }
        };
        others.reserve(n_threads - 1);
        try
        {
            for (size_t thread=1; thread<n_threads; thread++)
                others.emplace_back(share, thread);
        }
        catch (const std::system_error&)
        {
            set(CANCELLED);
        }
        if (state == STARTING)
        {
            blocks.begin();
            set(ALL_STARTED);
            run_share(0, first, time);
        }
        for (std::thread& each : others)
            each.join();
        if (state == CANCELLED)
            return false;
        blocks.end(n_steps, start, time);
        return true;
    }
};
