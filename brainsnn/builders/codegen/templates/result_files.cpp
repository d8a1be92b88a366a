{# Ends a program whose results do not fit on the disk. Brian2's own code does not notice. #}
{% include 'system.cpp' %}
#include <fstream>
#include <iostream>
#include <system_error>

static void results_not_written()
{
    const std::error_code error(errno, std::generic_category());
    std::cerr << "Cannot write results: " << error.message() << std::endl;
    _Exit(disk_is_full(error.value()) ? {{disk_full}} : 1);
}

static void close_results(std::ofstream& file)
{
    file.close();
    if (file.fail())
        results_not_written();
}
