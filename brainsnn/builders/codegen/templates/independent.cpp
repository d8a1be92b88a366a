{# The iterations of the loop that follows are independent of each other: each has its own elements, which the compiler cannot see. #}
#if defined(__clang__)
#pragma clang loop vectorize(assume_safety)
#elif defined(__GNUC__)
#pragma GCC ivdep
#endif
{{"\n"}}
