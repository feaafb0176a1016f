"""Records that are changed along with the files they tell of."""

from hf_turkembed import record
from hf_turkembed.json_files import read_json, write_json


def record_digests(folder):
    """Write the digests of all files into the record, as a step that made them so would have done."""
    content = read_json(folder / "provenance.json")
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*.*") if path.is_file())
    found = {name: record.digest_file(folder / name) for name in names if record.is_output(name)}
    content["observed"]["outputs"] |= found
    write_json(folder / "provenance.json", content)
