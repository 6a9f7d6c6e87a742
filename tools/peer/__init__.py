"""Measuring ruvllm beside llama.cpp: what tools/compare_peer is made of."""
