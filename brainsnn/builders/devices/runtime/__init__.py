"""The device runtime: trials in this process, whose steps run in a C++ library that works on the arrays of Python."""
