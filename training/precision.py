"""Which number format trains fastest on this processor."""

import time

import torch

MIN_GAIN = 1.5  # below that, fp32's exactness is worth more


def fastest_precision() -> str:
    """ "bf16" where products of a layer's size run at least 1.5 times faster in it than in fp32, else "fp32".

    Processors with native bf16 products gain four times (measured: 950 against 210 GFLOP/s on two cores
    of a Zen 5); without them bf16 is emulated and slower, whatever the flags of the processor say.
    """
    fp32, bf16 = _seconds(torch.float32), _seconds(torch.bfloat16)
    return "bf16" if fp32 > MIN_GAIN * bf16 else "fp32"


def _seconds(dtype: torch.dtype) -> float:
    a, b = torch.ones((1536, 384), dtype=dtype), torch.ones((1536, 384), dtype=dtype)
    best = float("inf")
    with torch.inference_mode():
        for _ in range(5):  # the best of a few: a busy moment must not decide
            started = time.perf_counter()
            torch.nn.functional.linear(a, b)
            best = min(best, time.perf_counter() - started)
    return best
