"""L1 pure: who may command what, and when. Bytes, keys and a time in; values out."""
