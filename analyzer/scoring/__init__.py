"""The predictor against published measurements: rows of the compilation's format, errors, and held-out refits."""
