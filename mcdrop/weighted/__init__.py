"""Statistics of weighted examples: each metric as a function of the weights of the examples."""
