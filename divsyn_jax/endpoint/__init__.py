"""The one client for OpenAI-compatible endpoints: scoring and generation both ask through it.

Needs the extra `llm`.
"""
