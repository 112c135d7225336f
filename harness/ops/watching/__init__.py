"""`gauntlet watch`: the operator alone, against any deployment, and what a person wants to see of it."""
