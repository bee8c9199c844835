"""From samples to beats and their classes: the network, what it is fed with, and how it is served and fitted to a patient."""
