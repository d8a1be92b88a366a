{# What the parts of a library share: where the arrays of this process are, recorded values, and random numbers. #}
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <random>
#include <vector>
#include "brianlib/common_math.h"
#include "brianlib/stdint_compat.h"

using namespace std;

namespace brian
{
// A Mersenne twister, numbers of 53 bits, and normal numbers by the polar method: the same as in standalone programs.
class RandomGenerator
{
    std::mt19937 twister;
    double second = 0;
    bool has_second = false;
public:
    void seed(unsigned long value)
    {
        twister.seed(value);
        has_second = false;
    }
    double rand()
    {
        const uint32_t high = twister() >> 5, low = twister() >> 6;
        return (high*67108864.0 + low)/9007199254740992.0;
    }
    double randn()
    {
        has_second = !has_second;
        if (!has_second)
            return second;
        double x, y, square;
        do
        {
            x = 2.0*rand() - 1.0;
            y = 2.0*rand() - 1.0;
            square = x*x + y*y;
        }
        while (square >= 1.0 || square == 0.0);
        const double factor = sqrt(-2.0*log(square)/square);
        second = factor*x;
        return factor*y;
    }
};
extern RandomGenerator* _generator;  // of the network that runs: equal networks share this library

// Rows of recorded values, one for each step.
template<class T> struct Rows
{
    std::vector<T> values;
    size_t width = 0;
    void resize(size_t n, size_t n_columns)
    {
        width = n_columns;
        values.resize(n*n_columns);
    }
    T& operator()(size_t row, size_t column) { return values[row*width + column]; }
};

{% for array in arrays %}
extern {{'thread_local ' if array.name in placed}}{{array.type}}* {{array.name}};
{% if array.varies %}
extern size_t _size{{array.name}};
{% endif %}
{% endfor %}
{% for record in records %}
extern {{'Rows' if record.is_rows else 'std::vector'}}<{{record.type}}> {{record.name}};
{% endfor %}
}
