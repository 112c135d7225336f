"""The router in front of the versions of a site: a process of its own, which outlives whoever shifts traffic."""

TOKEN_VARIABLE = "ROUTER_TOKEN"
