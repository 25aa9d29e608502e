"""Rows to text and HTML, arrays to matplotlib Axes."""
