"""Pictures for people: a chase view, videos of races, and plots of driven lines."""
