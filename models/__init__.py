"""The fitted surrogate, as data: LightGBM text files, JSON, and a registry of checksums."""
