"""What changes from image to image: stimuli, onsets, seeds and parameters."""
