"""The tokenizer step's one call, with the arguments that its tests vary."""

from hf_turkembed.tokenizer import adapt_tokenizer, count_words
from hf_turkembed.tokenizer.adapting import NO_PREFERENCES


def count_lines(corpus):
    """Count the words of lines of text, by language."""
    return {language: count_words(lines) for language, lines in corpus.items()}


def adapt(source_folder, corpus, heldout, output, vocab_size=640, new_tokens=0, preferences=NO_PREFERENCES, **weights):
    return adapt_tokenizer(
        source_folder,
        count_lines(corpus),
        output,
        vocab_size=vocab_size,
        new_tokens=new_tokens,
        language_weights=weights,
        heldout=heldout,
        preferences=preferences,
    )
