{# Writes what trials start from, once, so that a user can later assign to some elements. Uses `fetch`, as finite.cpp does. #}
    if (std::ifstream(path + "/keep_initial"))
        for (const Array& array : state)
            std::ofstream(path + "/initial_" + array.name, std::ios::binary).write(fetch(array), array.bytes);
