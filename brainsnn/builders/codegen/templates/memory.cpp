{# Where the arrays of a program start. All start at a cache line. Large ones are in huge pages, which saves the processor from
   looking up addresses, and start at different places in them: else elements with the same index in several arrays, which an
   update reads together, would compete for the same few lines of the cache. #}
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#if defined(__linux__) && !{{is_portable()|int}}
#include <sys/mman.h>
#endif

namespace
{
const std::size_t line = 64, page = 2 << 20, large = 4 << 20;

void release(void* array)
{
    if (array)
        std::free(((void**)array)[-2]);
}
}

void* operator new[](std::size_t size)
{
    static std::size_t n_arrays = 0;
    const bool is_large = size >= large;
    const std::size_t unit = is_large ? page : line, shift = line*(1 + (is_large ? 5*n_arrays++ % 61 : 0));
    const std::size_t total = (size + shift + unit - 1)/unit*unit;
    // As much more as it takes to start at a unit.
    char* const found = total < size ? nullptr : (char*)std::malloc(total + unit);
    if (found == nullptr)
        throw std::bad_alloc();
    char* const start = found + (unit - (std::uintptr_t)found % unit) % unit;
#if defined(MADV_HUGEPAGE)
    if (is_large)
        madvise(start, total, MADV_HUGEPAGE);
#endif
    char* const array = start + shift;
    ((void**)array)[-2] = found;
    // Brian2's monitors of a part of a group read the number before a list of spikes, if only neurons behind that part spiked.
    ((void**)array)[-1] = nullptr;
    return array;
}

void operator delete[](void* array) noexcept { release(array); }
void operator delete[](void* array, std::size_t) noexcept { release(array); }
