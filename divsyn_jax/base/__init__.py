"""What every command stands on: command line, files, pages of HTML.

Imports neither JAX nor torch.
"""
