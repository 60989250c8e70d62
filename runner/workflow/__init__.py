"""From a symptom to its cause and to a proven fix: cases, runbooks, and what may be concluded."""
