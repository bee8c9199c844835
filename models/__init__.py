"""The shipped models: their recipes, figures and model card."""
