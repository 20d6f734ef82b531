"""Real coverage of the intervals that `mcdrop.compare` prints, by simulation: make coverage."""
