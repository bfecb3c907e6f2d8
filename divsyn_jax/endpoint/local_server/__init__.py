"""A language model on this machine behind the endpoint client, without any network."""
