"""Which hyperparameters should an RNN start with? Recommendations learned from real training runs."""
