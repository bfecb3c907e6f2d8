"""One form of file a module: its records, one after the other."""
