"""Beats judged as they come: streams of samples in, beats, counts and alarms out."""
