"""The way from a Keras model to a running spiking network; one folder for each step of it."""
