"""Train real RNNs: populations of networks whose runs grow the corpus and check recommendations."""
