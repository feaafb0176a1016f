"""Train a published model in plain torch, without any trainer, and load it again.

python recipes/downstream/plain_torch.py MODEL OUTPUT
"""

import sys

import torch
from transformers import AutoModel, AutoTokenizer

import hf_turkembed  # noqa: F401  # with it AutoModel gives sentence embeddings

PAIRS = [
    ("Kargom ne zaman gelir?", "Siparişler üç iş günü içinde teslim edilir."),
    ("Şifremi unuttum.", "Giriş sayfasından yeni bir şifre isteyebilirsiniz."),
    ("İade nasıl yapılır?", "Ürünü on dört gün içinde geri gönderebilirsiniz."),
    ("Faturam nerede?", "Faturalar hesabınızın ödemeler bölümünde durur."),
]


def main(source: str, target: str, steps: int = 5) -> None:
    """Pull each query towards its answer and away from the others'."""
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModel.from_pretrained(source).train()
    if getattr(model.config, "matryoshka_dims", None) is None:
        raise SystemExit(
            f"error: the config.json of {source} has no `matryoshka_dims`, so that AutoModel gives no sentence "
            "embedding; take a model that this package made, such as the output of `finetune`."
        )
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5)
    queries, answers = (
        tokenizer(list(side), padding=True, truncation=True, return_tensors="pt") for side in zip(*PAIRS, strict=True)
    )
    for step in range(steps):
        # Embeddings have the length one, so that their products are cosines; 20 is the usual scale of the loss.
        cosines = model(**queries).pooler_output @ model(**answers).pooler_output.T
        loss = torch.nn.functional.cross_entropy(20 * cosines, torch.arange(len(PAIRS)))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        print(f"step {step}: loss {loss.item():.4f}")
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    again = AutoModel.from_pretrained(target)
    with torch.no_grad():
        apart = (again(**queries).pooler_output - model.eval()(**queries).pooler_output).abs().max()
    print(f"saved to {target}; loaded again its embeddings differ by at most {apart:.1e}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
