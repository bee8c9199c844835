"""From samples to beats and their classes: the network, its inputs, how it is served, and fine-tuned to a patient."""
