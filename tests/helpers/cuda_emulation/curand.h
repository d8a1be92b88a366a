// cuRAND's host interface over the standard library's generator: as many numbers, in (0, 1], though not the same ones.
#pragma once
#define CURAND_H_
#include <random>

enum curandStatus_t {
    CURAND_STATUS_SUCCESS, CURAND_STATUS_VERSION_MISMATCH, CURAND_STATUS_NOT_INITIALIZED,
    CURAND_STATUS_ALLOCATION_FAILED,
    CURAND_STATUS_TYPE_ERROR, CURAND_STATUS_OUT_OF_RANGE, CURAND_STATUS_LENGTH_NOT_MULTIPLE,
    CURAND_STATUS_DOUBLE_PRECISION_REQUIRED, CURAND_STATUS_LAUNCH_FAILURE, CURAND_STATUS_PREEXISTING_FAILURE,
    CURAND_STATUS_INITIALIZATION_FAILED, CURAND_STATUS_ARCH_MISMATCH, CURAND_STATUS_INTERNAL_ERROR
};
enum curandRngType_t { CURAND_RNG_PSEUDO_PHILOX4_32_10 };
typedef std::mt19937_64* curandGenerator_t;

template<class T, class D>
curandStatus_t draw(std::mt19937_64& generator, T* values, size_t n, D distribution)
{
    const emulated::OnDevice access;
    for (size_t k=0; k<n; k++)
        values[k] = distribution(generator);
    return CURAND_STATUS_SUCCESS;
}
template<class T>
auto uniform()
{
    return [d = std::uniform_real_distribution<T>()](auto& g) mutable { return 1 - d(g); };
}
inline curandStatus_t curandCreateGenerator(curandGenerator_t* generator, curandRngType_t)
{
    *generator = new std::mt19937_64;
    return CURAND_STATUS_SUCCESS;
}
inline curandStatus_t curandDestroyGenerator(curandGenerator_t generator)
{
    delete generator;
    return CURAND_STATUS_SUCCESS;
}
inline curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t generator, unsigned long long seed)
{
    generator->seed(seed);
    return CURAND_STATUS_SUCCESS;
}
inline curandStatus_t curandSetGeneratorOffset(curandGenerator_t, unsigned long long)
{
    return CURAND_STATUS_SUCCESS;
}
inline curandStatus_t curandGenerateUniform(curandGenerator_t g, float* values, size_t n)
{
    return draw(*g, values, n, uniform<float>());
}
inline curandStatus_t curandGenerateUniformDouble(curandGenerator_t g, double* values, size_t n)
{
    return draw(*g, values, n, uniform<double>());
}
template<class T>
curandStatus_t curandGenerateNormal(curandGenerator_t g, T* values, size_t n, double mean, double sd)
{
    return draw(*g, values, n, std::normal_distribution<T>(mean, sd));
}
inline curandStatus_t curandGeneratePoisson(curandGenerator_t g, unsigned int* values, size_t n, double mean)
{
    return draw(*g, values, n, std::poisson_distribution<unsigned int>(mean));
}
inline curandStatus_t curandGenerateNormalDouble(curandGenerator_t g, double* values, size_t n, double mean, double sd)
{
    return curandGenerateNormal(g, values, n, mean, sd);
}
