"""How long things take, and how much memory: each file is a command."""
