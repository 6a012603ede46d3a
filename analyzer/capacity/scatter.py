"""How the number of requests scatters by chance under a load, and how long the wait for room lasts.

A prompt stops the decoding of the others for its own time m. By the clock of decoding, which stands still meanwhile,
requests therefore come in groups: those that arrive in one busy period of the prompts' queue. With a = rate · m, in
which prompts scatter by c, a group's size N has E[N²] / E[N] = 1 + 2 x + x² (1 + c²), x = a / (1 - a) (the customers of
an M/G/1 busy period; Kleinrock 1975, Queueing Systems I, 5.9). Groups that come by chance scatter more than single
requests: of the sequences in service the variance over the mean is 1 + (E[N²] / E[N] - 1) · E[min(S, S')] / E[S], S and
S' being two requests' service (M^X/G/infinity; Holman, Chaudhry and Kashyap 1983).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.capacity.costs import Array
from analyzer.capacity.mix import Mix

NEARLY_FULL = 1 - 1e-6


def wider(mix: Mix, stopped: Array) -> Array:
    """The variance of the batch over that without prompts (k, 1); `stopped` is the share of time a that they take."""
    outputs = np.array(mix.outputs)
    both = float(np.minimum(outputs[:, None], outputs[None]).mean() / outputs.mean())
    x = stopped / np.maximum(1 - stopped, 1e-3)
    return np.asarray(1 + both * (2 * x + x**2 * _prompt_square(mix)))


def _prompt_square(mix: Mix) -> float:
    """Mean square of the prompts' times over their squared mean: 1 + c²."""
    return 1 + float(np.var(np.array(mix.prompts) * np.array(mix.prompt_weights))) / mix.prompt_tokens**2


def running(counts: Array) -> tuple[Array, Array, Array]:
    """Of 0, 1, 2 ... requests, those that run, the chance that one more has to wait, and those that wait; each (k, n).

    `counts` are equally likely numbers that there is room for (k, points).
    """
    alike = bool((np.ptp(counts, axis=1) == 0).all())
    here = np.arange(int(np.ceil(counts.max())) + 1, dtype=np.float64)[None]
    batches, waits, waiting = (np.zeros((len(counts), here.shape[1])) for _ in range(3))
    each = counts[:, :1] if alike else counts
    for one in each.T[:, :, None]:
        batches += np.minimum(here, one) / each.shape[1]
        waits += (here >= one) / each.shape[1]
        waiting += np.maximum(here - np.ceil(one), 0) / each.shape[1]
    return batches, waits, waiting


def shares(ratio: Array, at_full: Array, last: NDArray[np.intp], wider: Array | float) -> Array:
    """Shares of time of each number of requests (k, n) from the ratios of neighbours, the variance `wider` times as
    large. From `last` on the ratio stays `at_full`: a geometric tail, whose mass counts as the last number's.

    Arrivals in groups make births the likelier the more requests there are. Of p(n) / p(n-1) = (a + b (n-1)) / n, the
    negative binomial distribution, the mean is a / (1 - b) and the variance 1 / (1 - b) times that. With a / w in place
    of a, and 1 - (1 - b) / w of b, the mean stays and the variance is w times as large.
    """
    number = np.arange(ratio.shape[1], dtype=np.float64)[None]
    moved = (ratio / wider + (1 - 1 / wider) * np.maximum(number - 1, 0) / np.maximum(number, 1))[:, 1:]
    logs = np.concatenate([np.zeros_like(at_full), np.cumsum(np.log(np.maximum(moved, 1e-300)), axis=1)], axis=1)
    logs = np.where(number > last, -np.inf, logs)
    found = np.exp(logs - logs.max(axis=1, keepdims=True))
    tail = (1 - np.minimum(at_full, NEARLY_FULL)) / wider
    np.put_along_axis(found, last, np.take_along_axis(found, last, axis=1) / tail, axis=1)
    whole: Array = found / found.sum(axis=1, keepdims=True)
    return whole


def wait_s(
    rate_per_s: Array, likely: Array, load: Array, last: NDArray[np.intp], waits: Array, waiting: Array
) -> Array:
    """Mean wait of those who find no room, service being exponential (k, 1): by Little's law, from who waits.

    `likely` are shares of time of 0, 1, 2 ... requests with a tail beyond `last` in which neighbours' ratio is `load`.
    """
    tail = np.minimum(load, NEARLY_FULL)
    beyond = tail / (1 - tail) * np.take_along_axis(likely, last, axis=1)
    queued = (likely * waiting).sum(axis=1, keepdims=True) + beyond
    return np.asarray(queued / np.maximum(rate_per_s * (likely * waits).sum(axis=1, keepdims=True), 1e-12))


def unlike_exponential(mix: Mix, square: Array, servers: Array, load: Array, stopped: Array) -> Array:
    """A wait over that with exponential service (k, 1): (1 + C²) / 2, C² being of a request's whole work.

    The work is its decoding, (1 - a) of it, and its prompt, a = `stopped`; each counts by its own squared coefficient
    of variation: C² = (1 - a)² c² + a² c'². The same follows by the clock of decoding, in which an end takes one from
    the queue and adds those that arrive during the prompt then computed. Of decoding c² is `square` under heavy load
    (Kingman 1961), and nearer to 1 under less, where the wait is over when the first of many ends: Kimura (1986, A
    two-moment approximation for the mean waiting time in the GI/G/s queue) with the formula of Cosmetatos (1975) for
    service of one length.
    """
    count, busy = np.maximum(servers, 1.0), np.clip(load, 1e-3, NEARLY_FULL)
    light = (1 - busy) * (count - 1) * (np.sqrt(4 + 5 * count) - 2) / (16 * count * busy)
    one_length = (1 + np.minimum(light, 1.0)) / 2
    c = np.minimum(square, 1.0)
    decoding = 2 * (1 + c) / (2 * c + (1 - c) / one_length) - 1 + np.maximum(square - 1, 0.0)
    return np.asarray((1 + (1 - stopped) ** 2 * decoding + stopped**2 * (_prompt_square(mix) - 1)) / 2)
