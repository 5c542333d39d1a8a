"""The house rules as tests: each is a function from a source file to its violations."""
