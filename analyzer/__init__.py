"""What the numbers mean: samples in, report out. Pure arithmetic: no I/O, no clock, no logging, no environment."""
