"""The devices genn and genn_cuda: programs that GeNN generates through brian2genn."""
