"""Tiny Hugging Face checkpoints of many families, and their activations in float64."""
