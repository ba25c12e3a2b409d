"""The model of ``examples/char_gpt.py`` trained by passus and by PyTorch, each for the same minutes."""
