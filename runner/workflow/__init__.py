"""From a symptom to its cause: cases, what is run for them, and what may be concluded."""
