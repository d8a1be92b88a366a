// Thrust's vectors as vectors of the standard library, for host and device alike.
#pragma once
#include <vector>

namespace thrust {
template<class T> struct host_vector : std::vector<T>
{
    using std::vector<T>::vector;
    host_vector() {}
    host_vector(const std::vector<T>& other) : std::vector<T>(other) {}
};
template<class T> using device_vector = host_vector<T>;
template<class T> T* raw_pointer_cast(T* pointer) { return pointer; }
}
