"""Tables of real RNN training runs: read, check, store."""
