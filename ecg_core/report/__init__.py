"""An analysis as measures, strips, PDF and files."""
