"""Make recorded runs again and hold them against the first; share a sweep in one file."""
