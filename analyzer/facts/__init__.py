"""Facts about GPUs, models and quantization schemes, each with its source: data and look-ups, no I/O."""
