"""Totals of a server whose steps cost exactly `a + b * batch + g * KV tokens + d * prompt tokens`."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.samples import ReplicaKey
from analyzer.steptime.parts import Part
from analyzer.windows import COUNTERS, GAUGES, Totals

KEY = ReplicaKey("http://a:8000/metrics", "m")


@dataclass(frozen=True)
class Linear:
    """A server's costs in seconds, and what its requests look like."""

    step_s: float = 0.008
    sequence_s: float = 4e-5
    kv_token_s: float = 5e-8
    prefill_token_s: float = 3e-5
    prompt: float = 1000.0
    output: float = 250.0

    def part(
        self,
        batch: float,
        *,
        span_s: float = 300.0,
        number: int = 0,
        busy_factor: float = 1.0,
        timed: bool = True,
        gaps: bool = True,
    ) -> Part:
        """A span in which the server never idles at this decode batch; its engine times its steps, if `timed`.

        Per step, `batch / output` requests end and as many prompts are computed; each prompt meets the mean batch.
        """
        context = self.prompt + self.output / 2
        prefills = batch / self.output
        step = self.step_s + batch * (self.sequence_s + self.kv_token_s * context)
        step += prefills * self.prompt * self.prefill_token_s
        steps = span_s / step
        requests = steps * prefills
        deltas: dict[str, float | None] = dict.fromkeys(COUNTERS)
        deltas |= {
            "steps_total": steps,
            "decode_sequence_steps_total": steps * batch,
            "prompt_tokens_total": requests * self.prompt,
            "prefill_tokens_total": requests * self.prompt,
            "generation_tokens_total": steps * batch + requests,
            "prefills_total": requests,
            "requests_finished_total": requests,
            "finished_prompt_tokens_total": requests * self.prompt,
            "finished_generation_tokens_total": requests * self.output,
            "inter_token_s_total": span_s * batch if gaps else None,
            "busy_s_total": span_s * busy_factor if timed else None,
        }
        gauges: dict[str, float | None] = dict.fromkeys(GAUGES)
        gauges["running_requests"] = batch * span_s
        start_s = number * span_s
        return Part(
            Totals(KEY, 1, start_s, start_s + span_s, span_s, round(span_s / 5), deltas, gauges, active_s=span_s)
        )

    def coefficients(self) -> dict[str, float]:
        """The truth by the model's names."""
        return {
            "step_s": self.step_s,
            "sequence_s": self.sequence_s,
            "kv_token_s": self.kv_token_s,
            "prefill_token_s": self.prefill_token_s,
        }
