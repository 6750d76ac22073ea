"""What is drawn, of a run and of a sweep: matplotlib stays in here."""
