"""How an attack is made as bad as its budget allows."""
