"""The pages of the dashboard, a script each; ``app.py`` puts them in order."""
