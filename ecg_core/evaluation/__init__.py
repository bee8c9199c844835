"""Scoring predictions: ANSI/AAMI EC57, databases, noise stress, occlusion, comparisons."""
