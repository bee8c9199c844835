"""Signals before the network sees them: filters, and how far each stretch of a lead can be analysed."""
