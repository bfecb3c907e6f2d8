"""From an endpoint's answer to a checked value: schemas, parsing, repairs that keep the meaning."""
