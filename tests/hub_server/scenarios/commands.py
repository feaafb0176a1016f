"""The `hf` command and the file system: other ways to the same routes."""

from huggingface_hub import HfFileSystem, metadata_update

from hub_server.client import Client
from hub_server.scenarios.uploads import BIG, read_folder

HF = "huggingface_hub.cli.hf"


def folders_go_up_and_come_down_by_command(hub: Client) -> None:
    name, source, target = hub.new_repo(), hub.folder / "source", hub.folder / "target"
    source.mkdir()
    (source / "a.bin").write_bytes(BIG[:100_000])
    (source / "ışık.txt").write_text("ğ")
    hub.run(HF, "upload", name, str(source), "--commit-message", "By command")
    hub.run(HF, "repos", "tag", "create", name, "v1")
    hub.run(HF, "download", name, "--revision", "v1", "--local-dir", str(target))
    assert read_folder(target).items() >= read_folder(source).items()
    assert "By command" in [commit.title for commit in hub.api.list_repo_commits(name)]


def a_repo_reads_and_writes_like_a_file_system(hub: Client) -> None:
    name, files = hub.new_repo(), HfFileSystem()
    sent = hub.add_large(name, "a.bin", 300_000)
    with files.open(f"{name}/one/a.txt", "w") as file:
        file.write("ğ")
    assert files.read_text(f"{name}/one/a.txt") == "ğ"
    assert files.read_block(f"{name}/a.bin", 1000, 50) == sent[1000:1050]
    assert files.glob(f"{name}/**/*.txt") == [f"{name}/one/a.txt"]
    files.rm(f"{name}/one/a.txt")
    assert "one/a.txt" not in hub.api.list_repo_files(name)


def metadata_is_changed_in_place(hub: Client) -> None:
    name = hub.new_repo()
    metadata_update(name, {"license": "apache-2.0"})
    metadata_update(name, {"tags": ["turkish"]})
    card = hub.api.model_info(name).card_data
    assert card is not None and (card.license, card.tags) == ("apache-2.0", ["turkish"])
