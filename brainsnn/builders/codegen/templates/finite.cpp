{# Notes the first trial that ends with a NaN or an infinite value, and where, in a file of the results. The including
   template defines `fetch`, a lambda that returns the values of an Array in the memory of the processor. #}
    struct Checked { Array array; size_t itemsize; };
    const std::vector<Checked> checked = {
    {% for array in checked %}
        { {"{{array.name}}", (char*){{array.data}}, {{array.n_bytes}}}, {{array.itemsize}} },
    {% endfor %}
    };
    // Tests the bits: with -ffast-math, compilers assume that all numbers are finite.
    auto is_finite = [&](const Checked& of) -> bool {
        const char* values = fetch(of.array);
        bool found = true;
        if (of.itemsize == sizeof(uint32_t))
            for (size_t k=0; k<of.array.bytes; k+=sizeof(uint32_t))
            {
                uint32_t bits;
                std::copy(values + k, values + k + sizeof(bits), (char*)&bits);
                found &= (bits & 0x7f800000u) != 0x7f800000u;
            }
        else
            for (size_t k=0; k<of.array.bytes; k+=sizeof(uint64_t))
            {
                uint64_t bits;
                std::copy(values + k, values + k + sizeof(bits), (char*)&bits);
                found &= (bits & 0x7ff0000000000000ull) != 0x7ff0000000000000ull;
            }
        return found;
    };
    // A variable that starts infinite, such as a minimum, may remain so.
    std::vector<bool> starts_finite;
    for (const Checked& of : checked)
        starts_finite.push_back(is_finite(of));
    bool all_finite = true;
    auto note_not_finite = [&](long trial, const std::string& file) {
        for (size_t k=0; all_finite && k<checked.size(); k++)
            if (starts_finite[k] && !is_finite(checked[k]))
            {
                all_finite = false;
                std::ofstream(file) << first_trial + trial << " " << checked[k].array.name << std::endl;
            }
    };
