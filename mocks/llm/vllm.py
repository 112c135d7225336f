"""What is generated, under vLLM's metric names, labels and buckets (vllm/v1/metrics/loggers.py)."""

from collections.abc import Iterable, Mapping

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from mocks.common.series import Histogram

_TTFT_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560)
_ITL_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
_REQUEST_S = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
_TOKENS = tuple(m * 10**e for e in range(6) for m in (1, 2, 5))

# name, what it says, the attribute of Generations that holds it. vLLM renamed the pace to inter_token_latency; dashboards read either.
_HISTOGRAMS = (
    ("time_to_first_token_seconds", "Histogram of time to first token in seconds.", "ttft"),
    ("time_per_output_token_seconds", "Histogram of time per output token in seconds.", "itl"),
    ("inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", "itl"),
    ("e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", "e2e"),
    ("request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", "queued"),
    ("request_inference_time_seconds", "Histogram of time spent in RUNNING phase for request.", "inference"),
    ("request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.", "prefill"),
    ("request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.", "decode"),
    ("request_prompt_tokens", "Number of prefill tokens processed.", "prompt_lengths"),
    ("request_generation_tokens", "Number of generation tokens processed.", "answer_lengths"),
)
_NUMBERS: tuple[tuple[type[GaugeMetricFamily] | type[CounterMetricFamily], str, str, str], ...] = (
    (GaugeMetricFamily, "num_requests_running", "Number of requests in model execution batches.", "running"),
    (GaugeMetricFamily, "num_requests_waiting", "Number of requests waiting to be processed.", "waiting"),
    (CounterMetricFamily, "prompt_tokens", "Number of prefill tokens processed.", "prompt_tokens"),
    (CounterMetricFamily, "generation_tokens", "Number of generation tokens processed.", "generation_tokens"),
)
_ENGINE = "0"
_BATCH = 1_024
# vLLM knows these three reasons; a call of a tool is a stop to its engine, and what a filter or a client ended is aborted.
_REASONS = {"stop": "stop", "length": "length", "tool_calls": "stop", "content_filter": "abort", None: "abort"}


class Generations:
    """What one model generates. The numbers may be written to."""

    __slots__ = (
        *("answer_lengths", "decode", "e2e", "finished", "generation_tokens", "inference", "itl", "prefill", "prompt_lengths"),
        *("_ended", "prompt_tokens", "queued", "running", "ttft", "waiting"),
    )

    def __init__(self) -> None:
        self.running = self.waiting = self.prompt_tokens = self.generation_tokens = 0
        self._ended: list[tuple[float, float, float, int, int, int]] = []
        self.finished = dict.fromkeys(("stop", "length", "abort"), 0)
        self.ttft, self.itl = Histogram(_TTFT_S), Histogram(_ITL_S)
        self.e2e, self.queued, self.inference, self.prefill, self.decode = (Histogram(_REQUEST_S) for _ in range(5))
        self.prompt_lengths, self.answer_lengths = Histogram(_TOKENS), Histogram(_TOKENS)

    def ended(
        self, finish: str | None, *, queued_s: float, prefill_s: float, decode_s: float, prompt_tokens: int, tokens: int, gaps: int
    ) -> None:
        """A generation is over: its time in line, from then until its first token, and from there to its end; and its lengths.

        `finish` None: cut short, by its client or a fault. `gaps` are those between the tokens of an answer in one piece; -1 for a stream,
        whose tokens were counted one by one, and for nothing.
        """
        self.finished[_REASONS[finish]] += 1
        self._ended.append((queued_s, prefill_s, decode_s, prompt_tokens, tokens, gaps))
        if len(self._ended) >= _BATCH:
            self.settle()

    def settle(self) -> None:
        """Count those that have ended. Many at once cost a tenth of what each would by itself."""
        if not self._ended:
            return
        queued, prefill, decode, prompts, answers, gaps = np.array(self._ended, dtype=np.float64).T
        self._ended.clear()
        self.queued.observe_all(queued)
        self.prefill.observe_all(prefill)
        self.decode.observe_all(decode)
        self.inference.observe_all(prefill + decode)
        self.e2e.observe_all(queued + prefill + decode)
        self.prompt_lengths.observe_all(prompts)
        self.answer_lengths.observe_all(answers)
        whole, paced = gaps >= 0, gaps > 0
        self.ttft.observe_all((queued + prefill)[whole])
        self.itl.observe_all(decode[paced] / gaps[paced], gaps[paced])


def families(models: Mapping[str, Generations]) -> Iterable[Metric]:
    """The series of all models, for a registry."""
    for series in models.values():
        series.settle()
    labels = ["model_name", "engine"]
    for kind, name, says, attribute in _NUMBERS:
        numbers = kind(f"vllm:{name}", says, labels=labels)
        for model, series in models.items():
            numbers.add_metric([model, _ENGINE], getattr(series, attribute))
        yield numbers
    success = CounterMetricFamily("vllm:request_success", "Count of successfully processed requests.", labels=[*labels, "finished_reason"])
    for model, series in models.items():
        for reason, count in series.finished.items():
            success.add_metric([model, _ENGINE, reason], count)
    yield success
    for name, says, attribute in _HISTOGRAMS:
        family = HistogramMetricFamily(f"vllm:{name}", says, labels=labels)
        for model, series in models.items():
            getattr(series, attribute).add_to(family, [model, _ENGINE])
        yield family
