"""The corpus and its questions: real text with known answers, made in a second and without a download.

`python -m mocks.rag.corpus --out DIR --seed N --documents N [--folder PATH]` writes `corpus.jsonl` and `questions.jsonl`.
"""
