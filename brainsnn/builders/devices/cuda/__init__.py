"""The device cuda_standalone: a CUDA program through brian2cuda."""
