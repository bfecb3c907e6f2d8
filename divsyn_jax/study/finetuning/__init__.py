"""Studies whose levels are fine-tuning sets."""
