"""Our publisher: one commit or none, nothing sent twice, nobody overwritten, whatever goes wrong at one request."""

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from hf_turkembed.publishing.hub import HubSettings, collect_repos, push_folder
from hf_turkembed.publishing.hub_state import HubRepo, read_state
from hf_turkembed.publishing.planned_files import plan_files
from hub_server.client import Client
from hub_server.publications import FAULTS, WAIT, digests, no_waiting, publish, remote, strike, write_version

# The requests of a publication but its commit: repo, head, files, tags, card, modes, and a large file either way.
_ROUTES = [
    "/api/repos/create",
    "/api/models/[^/]+/[^/]+$",
    "/tag/",
    "/tree/",
    "/preupload/",
    "/validate-yaml",
    "/refs$",
    "/commits/",
    "/whoami-v2",
]
_LARGE = {True: ["/xet-write-token/", "/cas/v1/xorbs/", "/cas/v1/shards"], False: ["/objects/batch", "/lfs/[^/]+$"]}


def every_fault_at_the_commit_is_survived(hub: Client) -> None:
    for name, fault in FAULTS.items():
        struck = strike(hub, "/commit/", fault, update=True)
        assert (struck.error, struck.requests) == (None, 1), name
        assert (WAIT + 1 in struck.waits) == name.startswith("429"), struck.waits
        hub.survived += 1


def an_error_at_every_other_request_is_survived(hub: Client) -> None:
    for place, route in enumerate([*_ROUTES, *_LARGE[hub.xet]]):
        name = ("answer lost", "503")[place % 2]
        struck = strike(hub, route, FAULTS[name], update=False)
        assert (struck.error, struck.requests) == (None, 1), f"{name} at {route}"
        hub.survived += 1


def a_fault_that_stays_is_reported_and_the_next_run_finishes(hub: Client) -> None:
    for route in ("/preupload/", "/commit/", "/tag/"):
        struck = strike(hub, route, FAULTS["503"], update=True, count=1000)
        assert struck.error and "503" in struck.error and struck.requests > 3, route
        hub.survived += 1


def nothing_is_sent_for_a_folder_that_is_there(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    first = publish(name, folder, tag="v1")
    hub.server.clear()
    assert publish(name, folder, tag="v1") == first
    assert {request["method"] for request in hub.requests("")} == {"GET"}


def one_changed_card_is_the_only_file_sent(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    publish(name, folder)
    before = remote(hub, name)
    (folder / "README.md").write_text("# Yeni\n", encoding="utf-8")
    hub.server.clear()
    publish(name, folder)
    assert sum(request["received"] for request in hub.requests("")) < 3_000
    after = remote(hub, name)
    assert [path for path in after if after[path] != before[path]] == ["README.md"]


def somebody_elses_commit_stops_with_both_heads_named(hub: Client) -> None:
    for settings in ({}, {"create_pr": True}):
        name, folder = hub.new_name(), write_version(hub.folder / f"model-{len(settings)}", 1)
        publish(name, folder)
        repo = HubRepo(repo_id=name, repo_type="model")
        state = read_state(HfApi(), repo)
        theirs = hub.add(name, "theirs.txt", token="hf_colleague").oid
        (folder / "config.json").write_text("{}")
        with pytest.raises(ValueError, match=f"prepared on {state.head}, and the head is now {theirs}"):
            push_folder(folder, plan_files(folder), repo, state, HubSettings(**settings), subject="it")
        assert "theirs.txt" in remote(hub, name)
        assert hub.api.model_info(name).sha == theirs and not list(hub.api.get_repo_discussions(name))


def what_somebody_else_wrote_is_overwritten_only_by_who_names_it(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    publish(name, folder)
    licence = hub.add(name, "LICENSE", token="hf_colleague").oid
    before = remote(hub, name)
    (folder / "config.json").write_text("{}")
    for settings in ({}, {"tag": "v1"}):
        with pytest.raises(ValueError, match=rf"commit {licence} .*such as `config\.json`.*`--onto {licence}`"):
            publish(name, folder, **settings)
    with pytest.raises(ValueError, match=f"at {'0' * 40}, but its head is {licence}"):
        publish(name, folder, onto="0" * 40)
    assert remote(hub, name) == before
    assert "/discussions/1" in publish(name, folder, create_pr=True)
    publish(name, folder, onto=licence)
    # As the Hub names what it makes of a pull request that is merged, beside which others may have written.
    merged = hub.api.create_commit(
        name,
        [CommitOperationAdd("config.json", b"{ }"), CommitOperationAdd("more.json", b"{}")],
        commit_message="Publish it with hf_turkembed (#1)",
    ).oid
    with pytest.raises(ValueError, match=f"commit {merged}"):
        publish(name, folder)
    publish(name, folder, onto=merged)
    assert remote(hub, name) == digests(folder)
    theirs = hub.add(name, "config.json", token="hf_colleague").oid
    publish(name, folder, onto=theirs)
    assert remote(hub, name) == digests(folder)


def what_a_colleague_published_with_this_package_is_not_ours(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    publish(name, folder)
    theirs, repo = write_version(hub.folder / "theirs", 2), HubRepo(repo_id=name, repo_type="model")
    state = read_state(HfApi(), repo)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", "hf_colleague")
        with pytest.raises(ValueError, match=r"by writer \('Publish it with hf_turkembed'\)"):
            publish(name, theirs)
        publish(name, theirs, onto=state.head)
    head, before = hub.api.model_info(name).sha, remote(hub, name)
    (folder / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=f"prepared on {state.head}, and the head is now {head}"):
        push_folder(folder, plan_files(folder), repo, state, HubSettings(), subject="it")
    # As is done after that message.
    with pytest.raises(ValueError, match=f"commit {head} by colleague .*`--onto {head}`"):
        publish(name, folder)
    assert remote(hub, name) == before == digests(theirs)
    # Without a token nobody is anybody; what would change is said all the same.
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HF_TOKEN")
        assert read_state(HfApi(), repo).account is None
    publish(name, folder, onto=head)
    assert remote(hub, name) == digests(folder)


def what_somebody_else_deleted_is_brought_back_only_by_who_names_that(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    publish(name, folder)
    gone = [CommitOperationDelete("config.json")]
    deleted = hub.api.create_commit(name, gone, commit_message="Delete", token="hf_colleague").oid
    with pytest.raises(ValueError, match=rf"add 1 files, such as `config\.json`.*`--onto {deleted}`"):
        publish(name, folder)
    assert "config.json" not in remote(hub, name)
    publish(name, folder, onto=deleted)
    assert remote(hub, name) == digests(folder)


def a_repo_that_ignores_files_is_left_alone(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    publish(name, folder)
    rules = [CommitOperationAdd(".gitignore", b"*.json\n")]
    ignoring = hub.api.create_commit(name, rules, commit_message="Ignore", token="hf_colleague").oid
    (folder / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"has a \.gitignore"):
        publish(name, folder, onto=ignoring)
    assert hub.api.model_info(name).sha == ignoring


def a_repo_that_was_made_by_hand_is_filled(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    hub.api.create_repo(name)
    publish(name, folder)
    assert remote(hub, name) == digests(folder)


def somebody_elses_repo_of_the_same_name_is_left_alone(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    repo = HubRepo(repo_id=name, repo_type="model")
    state = read_state(HfApi(), repo)
    hub.api.create_repo(name, token="hf_colleague")
    theirs = hub.add(name, "theirs.txt", token="hf_colleague").oid
    with pytest.raises(ValueError, match=r"has created .* and written 'theirs\.txt'"):
        push_folder(folder, plan_files(folder), repo, state, HubSettings(), subject="it")
    assert hub.api.model_info(name).sha == theirs


def a_pull_request_is_opened_once(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    publish(name, folder)
    before = remote(hub, name)
    (folder / "README.md").write_text("# Yeni\n", encoding="utf-8")
    hub.server.fault("lose_answer", "/commit/")
    with no_waiting():
        address = publish(name, folder, create_pr=True)
    assert publish(name, folder, create_pr=True) == address
    (request,) = hub.api.get_repo_discussions(name)
    assert request.url == address
    assert remote(hub, name) == before and remote(hub, name, "refs/pr/1") == digests(folder)
    hub.survived += 1


def a_dataset_or_a_proposal_may_be_the_first_of_its_repo(hub: Client) -> None:
    folder = write_version(hub.folder / "model", 1)
    name, other = hub.new_name(), hub.new_name()
    assert f"/datasets/{name}/commit/" in publish(name, folder, repo_type="dataset", tag="v1")
    assert hub.api.dataset_info(name, revision="v1").sha == hub.api.dataset_info(name).sha
    publish(other, folder, create_pr=True)
    assert remote(hub, other) == {} and remote(hub, other, "refs/pr/1") == digests(folder)


def a_new_repo_is_private_and_gated_before_it_holds_anything(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    publish(name, folder, private=True, gated="manual")
    paths = [request["path"] for request in hub.requests("") if request["method"] != "GET"]
    places = [next(i for i, path in enumerate(paths) if part in path) for part in ("create", "/settings", "/commit/")]
    assert places == sorted(places)
    info = hub.api.model_info(name)
    assert (info.private, info.gated) == (True, "manual")
    publish(name, folder, private=True, gated="manual")
    assert not hub.requests("/settings")
    publish(name, folder, private=True, gated="auto")
    assert hub.api.model_info(name).gated == "auto"


def a_public_repo_is_not_taken_for_a_private_one(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    publish(name, folder)
    with pytest.raises(ValueError, match="is public, but was to be published as private"):
        publish(name, folder, private=True)


def a_release_is_never_moved(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    publish(name, folder, tag="v1")
    head = hub.api.model_info(name).sha
    (folder / "README.md").write_text("# Yeni\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"has a release `v1` already, commit {head}"):
        publish(name, folder, tag="v1")
    assert hub.api.model_info(name).sha == head


def a_card_that_the_hub_refuses_changes_nothing(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    (folder / "README.md").write_text("---\nlicense: {a: 1}\n---\n")
    with pytest.raises(ValueError, match="license"):
        publish(name, folder)
    assert remote(hub, name) == {}


def who_may_not_write_is_told_and_changes_nothing(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    publish(name, folder)
    before = remote(hub, name)
    (folder / "README.md").write_text("# Yeni\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", "hf_stranger")
        with pytest.raises(ValueError, match="no publication from this account"):
            publish(name, folder)
        with pytest.raises(OSError, match="403"):
            publish(name, folder, onto=hub.api.model_info(name).sha)
        # A proposal is anybody's right.
        publish(name, folder, create_pr=True)
    assert remote(hub, name) == before and remote(hub, name, "refs/pr/1") == digests(folder)


def a_collection_is_made_once_and_holds_every_repo_once(hub: Client) -> None:
    folder = write_version(hub.folder / "model", 1)
    repos = {HubRepo(repo_id=hub.new_name(), repo_type=kind): f"the {kind}" for kind in ("model", "dataset")}
    for repo in repos:
        publish(repo.repo_id, folder, repo_type=repo.repo_type)
    title = f"Release {folder.parent.stat().st_ctime_ns}-{hub.xet}"
    addresses = set()
    for route in ("/api/collections$", "/items$", "none"):
        hub.server.fault("lose_answer", route)
        with no_waiting():
            addresses.add(collect_repos(title, repos, private=True))
        hub.survived += route != "none"
    assert len(addresses) == 1
    items = hub.api.get_collection(addresses.pop().partition("/collections/")[2]).items
    assert {(item.item_id, item.item_type, item.note) for item in items} == {
        (repo.repo_id, repo.repo_type, note) for repo, note in repos.items()
    }
    assert len(items) == 2


def large_files_go_ahead_of_the_commit_and_are_not_sent_again(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    hub.server.fault("refuse", "/commit/", status=403)
    with pytest.raises(OSError, match="403"):
        publish(name, folder)
    assert sum(request["received"] for request in hub.requests("")) > 100_000
    publish(name, folder)
    assert sum(request["received"] for request in hub.requests("")) < 10_000


def a_wait_that_is_too_long_is_not_waited(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    hub.server.fault("refuse", "/commit/", status=429, headers={"Retry-After": "3600"})
    with no_waiting() as waits, pytest.raises(ConnectionError, match="asks to wait for 3601 s"):
        publish(name, folder)
    assert waits == []
