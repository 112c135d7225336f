"""The life of an alert between a rule and a person: grouped, silenced, inhibited, told, repeated, acknowledged, escalated, remembered."""
