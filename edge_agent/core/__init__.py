"""L0: the vocabulary every other room speaks. Imports the standard library and msgspec only."""
