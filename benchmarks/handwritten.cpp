// The projection of benchmarks/projection.py as one would write it by hand: the lower limit of its time.
//
// A 3x3 "same" convolution, event by event. The kernel lies as (input channel, row tap, column tap, output channel),
// the column taps in the order of the target columns, so that every spike adds three contiguous stretches of weights to
// three contiguous stretches of the target.
//
// handwritten FOLDER: reads sizes.txt (rows, columns, input channels, output channels, steps, phases, repeats), kernel,
// height, spikes (indices, one step after the other) and counts (spikes of each step). Writes the sums I, and prints for
// every repeat the time of each phase in ms per step; a phase is a block of steps with one firing rate. It is processor
// time, so that whatever else the machine does cannot make this limit look worse than it is.
#include <time.h>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

template <typename T> std::vector<T> read(const std::string& path)
{
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    std::vector<T> values(file.tellg()/sizeof(T));
    file.seekg(0);
    file.read((char*)values.data(), values.size()*sizeof(T));
    return values;
}

static double seconds()
{
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec + 1e-9*now.tv_nsec;
}

static void project(const int32_t* spikes, int n_spikes, const float* kernel, const float* height, float* I,
                    int rows, int columns, int channels, int targets)
{
    for (int s=0; s<n_spikes; s++)
    {
        const int channel = spikes[s] % channels;
        const int column = spikes[s]/channels % columns;
        const int row = spikes[s]/channels/columns;
        const float h = height[spikes[s]];
        const int first = std::max(column - 1, 0), last = std::min(column + 1, columns - 1);
        const size_t length = (size_t)(last - first + 1)*targets;
        for (int r=std::max(row - 1, 0); r<=std::min(row + 1, rows - 1); r++)
        {
            float* __restrict target = I + ((size_t)r*columns + first)*targets;
            const float* __restrict w = kernel + ((channel*3 + (row - r + 1))*3 + (first - column + 1))*targets;
            for (size_t k=0; k<length; k++)
                target[k] += w[k]*h;
        }
    }
}

int main(int, char** arguments)
{
    const std::string folder = std::string(arguments[1]) + "/";
    int rows, columns, channels, targets, steps, phases, repeats;
    std::ifstream(folder + "sizes.txt") >> rows >> columns >> channels >> targets >> steps >> phases >> repeats;
    const std::vector<float> kernel = read<float>(folder + "kernel"), height = read<float>(folder + "height");
    const std::vector<int32_t> spikes = read<int32_t>(folder + "spikes"), counts = read<int32_t>(folder + "counts");
    std::vector<float> I((size_t)rows*columns*targets);
    for (int repeat=0; repeat<repeats; repeat++)
    {
        std::fill(I.begin(), I.end(), 0.0f);
        const int32_t* next = spikes.data();
        for (int phase=0; phase<phases; phase++)
        {
            const double start = seconds();
            for (int step=phase*steps/phases; step<(phase + 1)*steps/phases; step++)
            {
                project(next, counts[step], kernel.data(), height.data(), I.data(), rows, columns, channels, targets);
                next += counts[step];
            }
            printf("%.9g ", (seconds() - start)*1e3*phases/steps);
        }
        printf("\n");
    }
    std::ofstream(folder + "I", std::ios::binary).write((const char*)I.data(), I.size()*sizeof(float));
}
