"""One corpus against another for a machine: a verdict with an exit code, a card, a badge."""
