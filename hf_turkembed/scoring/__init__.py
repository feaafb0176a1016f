"""Scores of models on held-out text, each with all that is needed to measure it again."""

from hf_turkembed.scoring.suites import Suite, score_model

__all__ = ["Suite", "score_model"]
