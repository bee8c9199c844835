"""The pages of the dashboard, a script each; ``dashboard.py`` puts them in order."""
