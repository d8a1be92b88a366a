"""Brian2 objects from a LayerGraph and a neuron model, each in its place in the schedule."""
