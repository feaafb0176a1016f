"""The records behind a step's output: each names the digests of those before it, back to the first step."""

from collections.abc import Sequence
from pathlib import Path

from hf_turkembed.json_files import read_versioned, write_json
from hf_turkembed.record import PROVENANCE_FILE, SCHEMA_VERSION, Provenance, read_provenance, read_record

# In a published repo: the records that its provenance.json leads back to.
LINEAGE_FILE = "lineage.json"


def read_chain(folder: Path) -> list[Provenance]:
    """Follow the inputs of a step's folder back to the first step, nearest first.

    The records are those that a published repo holds. Without them they are looked for in the folders beside `folder`
    and beside its parent, and recognised by the digest of their identity, so folders may be moved and renamed
    together. An input whose record is not found ends its branch: it is still named in the record that used it.

    Args:
        folder: Output folder of a step, or a published repo.

    Raises:
        FileNotFoundError: If `folder` itself has no record.
        ValueError: If a record that could belong to the chain is damaged.
    """
    chain = [read_provenance(folder)]
    known, damaged = (_read_lineage(folder), []) if (folder / LINEAGE_FILE).is_file() else _read_records_around(folder)
    for record in chain:
        for source in record.identity.inputs:
            if source.record in known and known[source.record] not in chain:
                chain.append(known[source.record])
            elif source.record is not None and source.record not in known and damaged:
                raise ValueError(f"the record behind `{source.role}` ({source.name}) was not found, but {damaged[0]}")
    return chain


def read_whole_chain(folder: Path) -> list[Provenance]:
    """Read the chain of a folder that is to be published: licences and data of its card come from all of it.

    Args:
        folder: Output folder of a step, or a published repo.

    Raises:
        FileNotFoundError: If `folder` itself has no record.
        ValueError: If a record of the chain is damaged or was not found.
    """
    chain = read_chain(folder)
    known = {record.identity.digest for record in chain}
    for record in chain:
        for source in record.identity.inputs:
            if source.record not in (None, *known):
                raise ValueError(
                    f"{folder}: `{record.identity.step}` was made with the `{source.role}` {source.name}, whose "
                    f"record {str(source.record)[:16]} is neither in {LINEAGE_FILE} nor beside the folder. Its "
                    "licence and data would be missing from the card; put that folder beside this one, as in the run."
                )
    return chain


def write_lineage(folder: Path, chain: Sequence[Provenance]) -> None:
    """Write the records behind a folder into it, so that a published repo holds its whole chain.

    Args:
        folder: A folder with provenance.json.
        chain: What `read_chain` gives for it; the first record, the folder's own, is left out.
    """
    write_json(folder / LINEAGE_FILE, {"schema_version": SCHEMA_VERSION, "records": chain[1:]})


def find_output(folder: Path, link: str) -> Path | None:
    """Return the output folder of the step of a chain whose identity has the digest `link`, or None.

    Args:
        folder: Output folder of a step; it is looked for where `read_chain` looks.
        link: `Input.record`.
    """
    for path in _records_near(folder):
        try:
            if read_provenance(path.parent).identity.digest == link:
                return path.parent
        except ValueError:
            continue
    return None


def _read_lineage(folder: Path) -> dict[str, Provenance]:
    """Read the records that a published repo holds, by the digest of their identity."""
    path = folder / LINEAGE_FILE
    try:
        records = [read_record(entry) for entry in read_versioned(path, SCHEMA_VERSION)["records"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); publish again.") from error
    return {record.identity.digest: record for record in records}


def _read_records_around(folder: Path) -> tuple[dict[str, Provenance], list[str]]:
    """Read the records of the folders around one, by the digest of their identity; and what is wrong with others."""
    known: dict[str, Provenance] = {}
    damaged: list[str] = []
    for path in _records_near(folder):
        try:
            found = read_provenance(path.parent)
            # A published repo beside a run, which was fine-tuned further, holds its chain in one file.
            behind = _read_lineage(path.parent) if (path.parent / LINEAGE_FILE).is_file() else {}
            known |= {**behind, found.identity.digest: found}
        except ValueError as error:
            damaged.append(str(error))
    return known, damaged


def _records_near(folder: Path) -> list[Path]:
    """List the records beside a folder and beside its parent; a part of a step's output lies where the whole does."""
    run = folder.resolve().parent
    if (run / PROVENANCE_FILE).is_file():
        run = run.parent
    return [*run.glob(f"*/{PROVENANCE_FILE}"), *run.parent.glob(f"*/*/{PROVENANCE_FILE}")]
