// What this machine can do at best: bytes moved per second and float32 operations per second, in one or more threads.
//
// machine THREADS prints "copy GB/s" and "triad GB/s" (STREAM: b = a, and a = b + s*c, 256 MB each), then
// "axpy BYTES GB/s" (y += s*x, the loop of a synaptic event and of a state update, 12 bytes for each element) for working
// sets of growing size, each thread with arrays of its own and BYTES the sum over both of a thread's arrays, and
// "fma GFLOP/s". Rates are sums over the threads, the best of several repeats.
#include <time.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

// As wide as a register: GCC divides wider vectors badly.
#if defined(__AVX512F__)
#define WIDTH 64
#elif defined(__AVX__)
#define WIDTH 32
#else
#define WIDTH 16
#endif
typedef float vec __attribute__((vector_size(WIDTH)));
static const size_t LANES = sizeof(vec)/sizeof(float);

// Processor time of the calling thread: whatever else the machine does takes no part in it.
static double now()
{
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec + 1e-9*time.tv_nsec;
}

// Shortest time of work(thread) in all threads at once; the slowest thread counts.
static double best(int threads, int repeats, const std::function<void(int)>& work)
{
    double shortest = 1e9;
    for (int r=0; r<repeats; r++)
    {
        std::vector<double> seconds(threads);
        auto timed = [&](int t) {
            const double start = now();
            work(t);
            seconds[t] = now() - start;
        };
        std::vector<std::thread> others;
        for (int t=1; t<threads; t++)
            others.emplace_back(timed, t);
        timed(0);
        for (std::thread& other : others)
            other.join();
        shortest = std::min(shortest, *std::max_element(seconds.begin(), seconds.end()));
    }
    return shortest;
}

struct Buffer
{
    vec* data;
    explicit Buffer(size_t n) : data((vec*)aligned_alloc(64, n*sizeof(vec)))
    {
        for (size_t k=0; k<n; k++)
            data[k] = vec{} + 1e-3f;
    }
    Buffer(const Buffer&) = delete;
    ~Buffer() { free(data); }
};

// The compiler may not leave out or merge the passes.
static void keep(vec* data) { asm volatile("" : : "r"(data) : "memory"); }

static void streams(int threads)
{
    const size_t n = (size_t)256e6/sizeof(vec)/threads;
    std::deque<Buffer> a, b, c;
    for (int t=0; t<threads; t++)
        a.emplace_back(n), b.emplace_back(n), c.emplace_back(n);
    const double bytes = (double)n*sizeof(vec)*threads;
    const double copy = best(threads, 5, [&](int t) {
        for (size_t k=0; k<n; k++)
            b[t].data[k] = a[t].data[k];
        keep(b[t].data);
    });
    const double triad = best(threads, 5, [&](int t) {
        for (size_t k=0; k<n; k++)
            a[t].data[k] = b[t].data[k] + 3.0f*c[t].data[k];
        keep(a[t].data);
    });
    printf("copy %.6g\ntriad %.6g\n", 2e-9*bytes/copy, 3e-9*bytes/triad);
}

static void axpy(int threads, size_t working_set)
{
    const size_t n = working_set/2/sizeof(vec);
    const size_t passes = std::max((size_t)1, (size_t)200e6/working_set);
    std::deque<Buffer> x, y;
    for (int t=0; t<threads; t++)
        x.emplace_back(n), y.emplace_back(n);
    const double seconds = best(threads, 11, [&](int t) {
        for (size_t pass=0; pass<passes; pass++)
        {
            for (size_t k=0; k<n; k++)
                y[t].data[k] += 1e-6f*x[t].data[k];
            keep(y[t].data);
        }
    });
    printf("axpy %zu %.6g\n", working_set, 12e-9*n*LANES*passes*threads/seconds);
}

static void fma(int threads)
{
    const size_t passes = 1000000;
    const double seconds = best(threads, 11, [&](int) {
        vec a[12];
        for (vec& value : a)
            value = vec{} + 1.0f;
        vec factor = vec{} + 0.999f, term = vec{} + 1e-3f;
        keep(&factor), keep(&term);
        for (size_t k=0; k<passes; k++)
            for (vec& value : a)
                value = value*factor + term;
        keep(a);
    });
    printf("fma %.6g\n", 2e-9*12*LANES*passes*threads/seconds);
}

int main(int, char** arguments)
{
    const int threads = atoi(arguments[1]);
    streams(threads);
    for (size_t bytes=8192; bytes<=(size_t)256 << 20; bytes*=2)
        axpy(threads, bytes);
    fma(threads);
}
