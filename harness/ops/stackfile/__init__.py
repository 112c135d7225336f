"""STACK.yaml: a deployment as its team describes it, for `gauntlet watch` and `gauntlet health`. See docs/watch.md."""
