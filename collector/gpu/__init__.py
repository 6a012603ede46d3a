"""GPU readings: NVML in a child process, and a reader that plays given readings."""
