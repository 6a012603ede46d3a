"""What a quantization scheme would do to a server's step time: modelled from bytes and arithmetic, tied to the live."""

from __future__ import annotations

from analyzer.predict.answer import Prediction, Setting, predict, predict_all
from analyzer.predict.calibrate import Baseline
from analyzer.predict.constants import SHIPPED, Constants
from analyzer.predict.formats import Format, format_of, unquantized
from analyzer.predict.stepcost import Machine, Step
from analyzer.predict.transform import Coefficients, Factors, factors, transform

__all__ = [
    "SHIPPED",
    "Baseline",
    "Coefficients",
    "Constants",
    "Factors",
    "Format",
    "Machine",
    "Prediction",
    "Setting",
    "Step",
    "factors",
    "format_of",
    "predict",
    "predict_all",
    "transform",
    "unquantized",
]
