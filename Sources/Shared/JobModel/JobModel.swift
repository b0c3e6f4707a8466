// Placeholder until the module's first type lands in the next commits.
