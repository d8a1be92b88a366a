"""The device cpp_standalone: a C++ program that is compiled once and runs many trials."""
