"""How far an agent can be trusted: measured on corpora whose clusters or order are known."""
