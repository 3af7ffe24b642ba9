"""`async-auth demo`: one session, many workers, a few faults, and what came of it.

`scenario` runs it, `tally` counts, `faults` does the mischief, `places` has the servers; `picture`,
`lines` and `json_lines` show it.
"""
