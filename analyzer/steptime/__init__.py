"""The step-time model: what a step of this server costs, identified from its own live counters."""
