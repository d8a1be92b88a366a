// cuRAND's device interface, which generated code mentions and the emulated networks do not use.
#pragma once
struct curandState {};
inline void curand_init(unsigned long long, unsigned long long, unsigned long long, curandState*) { abort(); }
