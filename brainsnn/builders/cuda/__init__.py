"""The CUDA device, through brian2cuda: code objects, the program that runs trials, and its compilation with nvcc."""
