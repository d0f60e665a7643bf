"""The commands of ``rnn-warmstart``, one module each; what they need is imported when they run."""
