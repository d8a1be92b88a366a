// The part of CUDA that generated programs use, on the processor: a kernel is a function that is called once for each
// thread, and device memory is memory that the program can touch only in kernels and through these functions. Nothing
// runs at once, but threads can be visited in reverse, which shows whether a result depends on their order.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <cmath>
#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

using std::ifstream; using std::ofstream; using std::ios; using std::endl; using std::string; using std::streampos;
using std::min; using std::max;

#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define __CUDA_ARCH__ 900

struct dim3 { int x, y, z; };
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {
inline char* arena = NULL;
inline size_t arena_used = 0, arena_open = 0;
const size_t arena_size = size_t(1) << 30;

// While one lives, device memory can be read and written; elsewhere that is a segmentation fault, as on a device.
class OnDevice
{
    static void protect(int access) { if (arena && mprotect(arena, arena_used, access) != 0) abort(); }
public:
    OnDevice() { if (arena_open++ == 0) protect(PROT_READ | PROT_WRITE); }
    ~OnDevice() { if (--arena_open == 0) protect(PROT_NONE); }
};

// Memory that nobody has written holds no zeros on a device, and none here. It is not given back.
inline void* allocate(size_t bytes)
{
    if (!arena)
        arena = (char*)mmap(NULL, arena_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char* const pointer = arena + arena_used;
    arena_used += (bytes + 4095)/4096*4096;
    if (arena == MAP_FAILED || arena_used > arena_size)
        abort();
    const OnDevice access;
    memset(pointer, 0xA5, bytes);
    return pointer;
}

// for (Grid grid(blocks, threads); grid.next(); ) kernel(arguments);  stands for a launch.
class Grid
{
    OnDevice access;
    long position = -1, n_blocks, n_threads;
    bool reverse = getenv("EMULATE_REVERSED") != NULL;
public:
    Grid(long blocks, long threads) : n_blocks(blocks), n_threads(threads) {
        if (blocks <= 0 || threads <= 0 || threads > 1024)
        {
            fprintf(stderr, "A kernel was launched with %ld blocks of %ld threads.\n", blocks, threads);
            abort();
        }
        blockDim.x = threads;
        gridDim.x = blocks;
    }
    bool next()
    {
        position++;
        if (position == n_blocks*n_threads)
            return false;
        const long thread = reverse ? n_blocks*n_threads - 1 - position : position;
        blockIdx.x = thread / n_threads;
        threadIdx.x = thread % n_threads;
        return true;
    }
};
}

template<class T> T atomicAdd(T* address, T value) { const T old = *address; *address += value; return old; }
template<class T> T atomicOr(T* address, T value) { const T old = *address; *address |= value; return old; }
template<class T, class V>
T atomicCAS(T* address, T compare, V value)
{
    const T old = *address;
    if (old == compare) *address = value;
    return old;
}
template<class To, class From>
To reinterpreted(From value) { To result; memcpy(&result, &value, sizeof(To)); return result; }
inline int __float_as_int(float value) { return reinterpreted<int>(value); }
inline float __int_as_float(int value) { return reinterpreted<float>(value); }
inline long long __double_as_longlong(double value) { return reinterpreted<long long>(value); }
inline double __longlong_as_double(long long value) { return reinterpreted<double>(value); }
inline int __int_as_int(int value) { return value; }
inline int __ffs(int value) { return __builtin_ffs(value); }
inline void __syncthreads() {}
inline void __threadfence() {}

enum cudaError { cudaSuccess };
typedef cudaError cudaError_t;
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaLimit { cudaLimitMallocHeapSize };
struct cudaDeviceProp
{
    int multiProcessorCount, maxThreadsPerBlock, maxThreadsPerMultiProcessor, sharedMemPerBlock, warpSize;
};
struct cudaFuncAttributes
{
    int maxThreadsPerBlock, numRegs;
    size_t sharedSizeBytes, localSizeBytes, constSizeBytes;
};

inline const char* cudaGetErrorString(cudaError) { return ""; }
inline cudaError cudaGetLastError() { return cudaSuccess; }
inline cudaError cudaSetDevice(int) { return cudaSuccess; }
inline cudaError cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError cudaDeviceSetLimit(cudaLimit, size_t) { return cudaSuccess; }
inline cudaError cudaProfilerStop() { return cudaSuccess; }
inline cudaError cudaGetDeviceProperties(cudaDeviceProp* properties, int)
{
    *properties = {2, 1024, 2048, 49152, 32};
    return cudaSuccess;
}
inline cudaError cudaMemGetInfo(size_t* available, size_t* total)
{
    *available = *total = size_t(1) << 30;
    return cudaSuccess;
}
inline cudaError cudaMalloc(void** pointer, size_t bytes)
{
    *pointer = emulated::allocate(bytes);
    return cudaSuccess;
}
inline cudaError cudaFree(void*) { return cudaSuccess; }
inline cudaError cudaMemset(void* pointer, int value, size_t bytes)
{
    const emulated::OnDevice access;
    memset(pointer, value, bytes);
    return cudaSuccess;
}
inline cudaError cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind)
{
    const emulated::OnDevice access;
    memcpy(to, from, bytes);
    return cudaSuccess;
}
template<class T>
cudaError cudaMemcpyToSymbol(T& symbol, const void* from, size_t bytes)
{
    memcpy(&symbol, from, bytes);
    return cudaSuccess;
}
template<class F>
cudaError cudaOccupancyMaxPotentialBlockSize(int* blocks, int* threads, F, size_t, int)
{
    *blocks = 1;
    *threads = 96;
    return cudaSuccess;
}
template<class F>
cudaError cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, F, int, size_t)
{
    *blocks = 1;
    return cudaSuccess;
}
template<class F>
cudaError cudaFuncGetAttributes(cudaFuncAttributes* attributes, F)
{
    *attributes = {1024, 32, 0, 0, 0};
    return cudaSuccess;
}
