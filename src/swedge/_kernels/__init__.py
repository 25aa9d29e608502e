"""Arrays in, arrays out: stack-shaped numerical kernels. No data frames and no nouns of the trial."""
