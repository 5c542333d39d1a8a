"""L1: the hard-coded envelope. Pure, standard library and core only, integers past the gate."""
