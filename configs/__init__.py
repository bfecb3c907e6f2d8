"""Run recipes (one file each), the table of diversity levels and the studies."""
