"""Questions and answers as files: the batch format of OpenAI, which vLLM's run_batch reads too."""
