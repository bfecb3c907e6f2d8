"""Getting a request answered: attempts, retries, how many at a time, what the endpoint accepts."""
