"""A small world with real Turkish morphology: its text, its sentence pairs and a teacher trained on them."""
