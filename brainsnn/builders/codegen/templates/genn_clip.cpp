{# brian2genn's clip takes and compares floats, whatever the type of the network. #}
template <typename T, typename A, typename B> SUPPORT_CODE_FUNC T _clip(const T value, const A a_min, const B a_max)
{
    if (value < a_min)
        return a_min;
    if (value > a_max)
        return a_max;
    return value;
}
