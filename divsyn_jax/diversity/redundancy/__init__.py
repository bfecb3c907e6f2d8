"""Where a corpus repeats itself: largest kinds, near duplicates, openings and templates."""
