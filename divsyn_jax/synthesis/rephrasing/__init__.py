"""Documents of a corpus told again in other formats by an endpoint, nothing added or changed."""
