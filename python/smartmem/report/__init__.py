"""What a compilation did: counts, layouts, times and decisions."""
