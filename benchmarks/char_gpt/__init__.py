"""The model of ``examples/char_gpt.py`` trained by passus and by PyTorch for the same time."""
