"""A Hub-protocol server on loopback, and the scenarios that the real clients play against it.

`serve` starts the server, `application` matches, spoils and logs requests, and `store` is its state: `repositories`,
`objects` (large files), `xet_files`, `accounts`. Routes stand beside what they do: `administration`, `listings`,
`commits`, `references`, `downloads`, `lfs`, `xet`, `validation`, `item_collections`. What goes wrong is in `errors`,
`faults` and `rate_limits`. Tests meet it by `fixtures`, `running` (a server, and the environment of its clients) and
`client`, which plays `scenarios/`; `publications` are ours, struck by faults, and `release_loading` loads a release.
"""
