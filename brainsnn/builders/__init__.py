"""From a Keras model to a LayerGraph (plain data) and on to Brian2 objects."""
