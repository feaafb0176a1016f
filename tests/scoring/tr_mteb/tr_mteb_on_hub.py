"""Run in a process that sees the test Hub: uploads small datasets of TR-MTEB, scores a model, prints what it found.

Arguments: folder of the model, an empty folder, names of tasks that get a dataset, a comma, names of tasks to score.
"""

import json
import sys
from functools import partial
from pathlib import Path

from huggingface_hub import HfApi
from sentence_transformers import SentenceTransformer
from tr_mteb_data import write_datasets

from hf_turkembed.json_files import as_plain
from hf_turkembed.scoring import ScoredModel
from hf_turkembed.scoring.tr_mteb import score_benchmark
from hf_turkembed.scoring.tr_mteb.tasks import select_tasks

if __name__ == "__main__":
    model, folder, names = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    there, asked = names[: names.index(",")], names[names.index(",") + 1 :]
    write_datasets(folder / "datasets", there)
    api, heads = HfApi(), {}
    for row in select_tasks(there):
        api.create_repo(row.dataset, repo_type="dataset", exist_ok=True)
        api.upload_folder(repo_id=row.dataset, folder_path=folder / "datasets" / row.dataset, repo_type="dataset")
        heads[row.name] = api.dataset_info(row.dataset).sha
    scored = ScoredModel(
        role="student",
        digest="ab",
        load=partial(SentenceTransformer, model, device="cpu"),
        truncate_dims=(32,),
        precision="float32",
    )
    report = score_benchmark([(scored, "local/student")], asked, results=folder / "results", batch_size=8)
    sys.stdout.write(json.dumps({"heads": heads, "scores": as_plain(report.scores), "means": as_plain(report.means)}))
