"""Sentences and settings that many tests share."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXTS = (
    "İstanbul'da ılık bir sabah, çocuklar okula gidiyor.",
    "Kedi uyuyor.",
    "Ankara'nın sokaklarında kitapçılar sabah erkenden açılıyor ve akşama kadar kapanmıyor.",
    "The children walk to school on a warm morning in Istanbul.",
    "Şoför ağacın gölgesinde bekledi.",
    "Iğdır'dan gelen otobüs gecikti.",
)
MATRYOSHKA_DIMS = (32, 16, 8)
# What the fixture `encoders` builds, and those of them that pool the first token.
MODEL_TYPES = ("gemma3_text", "gte", "bert", "xlm-roberta", "modernbert")
CLS_POOLED = ("gte", "modernbert")
