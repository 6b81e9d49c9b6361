"""The roof: one experiment a file, and the command line `neurosim`."""
