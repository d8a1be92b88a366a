{# The functions that Python calls in a library: attach arrays, run steps, take what was recorded, seed. #}
#include "library.h"
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

{% for function in functions %}
void {{function}}();
{% endfor %}

namespace brian
{
RandomGenerator* _generator;
{% for array in arrays %}
{{'thread_local ' if array.name in placed}}{{array.type}}* {{array.name}};
{% if array.varies %}
size_t _size{{array.name}};
{% endif %}
{% endfor %}
{% for record in records %}
{{'Rows' if record.is_rows else 'std::vector'}}<{{record.type}}> {{record.name}};
{% endfor %}
}

namespace
{
using namespace brian;

{% include 'time_blocks.cpp' %}

// Lets the code of this thread find an array at another address: those of which steps leave values for other blocks, and the time.
void (*const places[])(char*) = {
    {% for array in placed.values() %}
    [](char* p) { {{array.name}} = ({{array.type}}*)p; },
    {% endfor %}
    nullptr};
void* placed[{{placed|length + 1}}];

void attach_here()
{
    for (int k=0; k<{{placed|length}}; k++)
        places[k]((char*)placed[k]);
}

struct Given
{
    int64_t place;
    char* array;
    size_t n_bytes, n_neurons;
    char* memory;
};

void (*const functions[])() = { {% for function in functions %}{{function}}, {% endfor %} nullptr};

// Numbers too small for the normal format count as 0 while steps run, as in a program that is linked with -ffast-math.
struct NoDenormals
{
#if defined(__SSE__)
    const unsigned before = _mm_getcsr();
    NoDenormals() { _mm_setcsr(before | 0x8040); }
    ~NoDenormals() { _mm_setcsr(before); }
#elif defined(__aarch64__) && defined(__GNUC__)
    uint64_t before;
    NoDenormals()
    {
        asm volatile("mrs %0, fpcr" : "=r"(before));
        asm volatile("msr fpcr, %0" : : "r"(before | (1 << 24)));
    }
    ~NoDenormals() { asm volatile("msr fpcr, %0" : : "r"(before)); }
#endif
};

{% include 'time_block_threads.cpp' %}
}

extern "C"
{
void attach(void** data, const size_t* sizes, void* generator)
{
    _generator = (RandomGenerator*)generator;
    {% for array in arrays %}
    {{'placed[%d]' % (placed|list).index(array.name) if array.name in placed else array.name}} = ({{array.type}}*)data[{{loop.index0}}];
    {% if array.varies %}
    _size{{array.name}} = sizes[{{loop.index0}}];
    {% endif %}
    {% endfor %}
    attach_here();
}

size_t generator_size() { return sizeof(RandomGenerator); }

void seed(void* generator, unsigned long value) { (new (generator) RandomGenerator)->seed(value); }

void call(int k)
{
    NoDenormals guard;
    attach_here();
    functions[k]();
}

// Returns whether all threads ran that were asked for.
bool run(
    const int* plan, size_t n_numbers, long block_steps, const Given* given, size_t n_given, long n_threads, double* cost,
    const int* clock, long n_steps, int64_t* timestep, double* t, const double* dt)
{
    NoDenormals guard;
    attach_here();
    TimeBlocks blocks;
    for (size_t k=0; k<n_given; k++)
        blocks.kept.push_back({
            places[given[k].place], given[k].array, given[k].n_bytes, given[k].n_neurons, given[k].memory,
            n_threads*block_steps + 1});
    blocks.plan.assign(plan, plan + n_numbers);
    blocks.block_steps = block_steps;
    if (n_threads > 1 && BlockThreads(blocks, n_steps, cost, clock).run(n_threads, {timestep, t, dt}))
        return true;
    blocks.run(functions, n_steps, {timestep, t, dt});
    return n_threads == 1;
}

// Recorded values: where they are and how many there are, until the next run.
void recorded(const void** data, size_t* sizes)
{
    {% for record in records %}
    {% set values = record.name + ('.values' if record.is_rows else '') %}
    data[{{loop.index0}}] = {{values}}.data();
    sizes[{{loop.index0}}] = {{values}}.size();
    {% endfor %}
}

void forget()
{
    {% for record in records %}
    {{record.name}}{{'.values' if record.is_rows else ''}}.clear();
    {% endfor %}
}
}
