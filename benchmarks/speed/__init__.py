"""What ``bench.py`` measures: a server that counts, a client that drives it."""
