"""The report as one page for a browser: HTML that needs nothing else, and no network."""
