"""What others see: metrics, JSON, a page, terminal text. Reads the state, never changes it."""
