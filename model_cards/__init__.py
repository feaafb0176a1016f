"""Jinja templates of the cards; what they show is prepared in `hf_turkembed.publishing`."""
