"""How every script starts: its command line, its log, its process group, and errors that a user can mend."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hf_turkembed import recipe as recipes
from hf_turkembed.json_files import as_plain
from hf_turkembed.recipe import Recipe
from hf_turkembed.step import NO_ROOM
from hf_turkembed.step_identity import identify


def read_recipe(description: str, step: str) -> Recipe:
    """Read the command line of a step's script, and its recipe.

    `--dry-run` prints the identity that the run would have, and exits.

    Args:
        description: The script's docstring.
        step: The step, whose section and inputs are checked.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_recipe_arguments(parser)
    arguments = parser.parse_args()
    start_logging()
    with clear_errors():
        recipe = recipes.load_recipe(arguments.recipe, arguments.overrides)
        recipes.section_of(recipe, step)
        if arguments.dry_run:
            stages = recipe.finetune.stages if step == "finetune" and recipe.finetune else [None]
            for stage in stages:
                identity = as_plain(identify(recipe, step, stage))
                sys.stdout.write(json.dumps(identity, indent=2, ensure_ascii=False) + "\n")
            raise SystemExit(0)
    return recipe


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that all scripts share."""
    parser.add_argument("recipe", type=Path, help="a YAML recipe, such as recipes/sandbox/magibu.yaml")
    parser.add_argument(
        "overrides", nargs="*", metavar="section.key=value", help="replaces a value of the recipe; the value is YAML"
    )
    parser.add_argument("--dry-run", action="store_true", help="check everything, say what would be done, and stop")


@contextmanager
def clear_errors() -> Iterator[None]:
    """End the script with the message alone where the user can mend the cause; other errors keep their trace."""
    try:
        yield
    except (ValueError, ConnectionError, FileNotFoundError, PermissionError) as error:
        raise SystemExit(f"error: {error}") from error
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise SystemExit(
            f"error: {error}; what is finished is kept: make room, or the folder writable, and run again."
        ) from error


def start_logging() -> None:
    """Log to standard error, without the bars that loading a small checkpoint draws."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in ("httpx2", "sentence_transformers", "accelerate", "datasets", "mteb"):
        logging.getLogger(name).setLevel(logging.WARNING)


def start_process_group(precision: str = "float32") -> Any:
    """Start the process group, and check that it is as large as was asked for.

    Args:
        precision: `bfloat16` runs forward passes under autocast; weights stay as they are loaded.

    Returns:
        An `accelerate.Accelerator`.

    Raises:
        ValueError: If fewer processes run than the launch configuration says.
    """
    import torch
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    if not torch.accelerator.is_available():
        # `accelerate launch` passes `use_cpu` on to one process, not to several; without it no group forms on
        # processors, neither here nor in the trainer, which makes a group of its own.
        os.environ["ACCELERATE_USE_CPU"] = "true"
    # The buffers of an encoder are constants, which need not be sent with every forward pass.
    group = DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)
    accelerator = Accelerator(mixed_precision="bf16" if precision == "bfloat16" else "no", kwargs_handlers=[group])
    check_topology(accelerator.num_processes, os.environ)
    return accelerator


def check_topology(num_processes: int, environment: Mapping[str, str]) -> None:
    """Check that the process group is as large as the launch configuration says.

    Args:
        num_processes: Size of the process group.
        environment: What `accelerate launch` set for this process.

    Raises:
        ValueError: If several processes were asked for and fewer form a group.
    """
    # `accelerate launch` names a main process only when its configuration has several; with
    # `distributed_type: MULTI_CPU` and no MPI it then starts one, and says nothing.
    several = "ACCELERATE_MIXED_PRECISION" in environment and "MASTER_ADDR" in environment
    expected = int(environment.get("WORLD_SIZE", "2" if several else "1"))
    if num_processes < expected:
        raise ValueError(
            f"the launch configuration asks for several processes, but {num_processes} forms the group. Without GPUs, "
            "use `distributed_type: MULTI_GPU` with `use_cpu: true`, as accelerate_configs/cpu_x2.yaml does."
        )
