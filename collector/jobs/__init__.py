"""What the daemon does again and again: poll targets, read GPUs, write samples, analyse, tidy up."""
