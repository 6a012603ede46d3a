"""The shape of what the operator states about money: prices, other GPUs to be had, the cost of the work."""

from __future__ import annotations

from pydantic import Field, model_validator

from collector.settings.section import Section
from collector.settings.units import Date


class PriceConfig(Section):
    """What a GPU-hour costs, from where, and when that was true."""

    usd_per_gpu_hour: float = Field(description="Price of one GPU-hour in US dollars.", ge=0)
    source: str = Field(description="Where the price is from, such as a contract's name.", min_length=1)
    date: Date = Field(description="Date of the price; flagged once it is older than 90 days.")


class OtherGpuConfig(Section):
    """A GPU model that you could have instead, and its price."""

    gpu: str = Field(description="GPU model, such as `L40S`.", min_length=1)
    price: PriceConfig = Field(description="Price of a GPU-hour of it.")


class CostsConfig(Section):
    """The work to quantize: once, and again at each model release. What is not stated is left out, and said to be."""

    engineering_hours: float | None = Field(None, description="Hours of work, once.", ge=0)
    engineering_usd_per_hour: float | None = Field(None, description="Cost of an hour of work.", ge=0)
    evaluation_hours: float | None = Field(None, description="Hours to evaluate quality, once.", ge=0)
    evaluation_usd_per_hour: float | None = Field(
        None, description="Cost of an hour of evaluation; without it the engineering rate.", ge=0
    )
    requantization_hours: float | None = Field(
        None, description="Hours to quantize and evaluate one new release of the model.", ge=0
    )
    requantization_usd_per_hour: float | None = Field(
        None, description="Cost of an hour of that; without it the engineering rate.", ge=0
    )
    model_releases_per_year: float | None = Field(
        None, description="New releases of the model in a year, each quantized anew; 0 for none.", ge=0
    )

    @model_validator(mode="after")
    def _together(self) -> CostsConfig:
        releases = self.model_releases_per_year
        if releases is not None and releases > 0 and self.requantization_hours is None:
            raise ValueError("model_releases_per_year says nothing by itself: state requantization_hours as well")
        rates = (self.evaluation_usd_per_hour, self.requantization_usd_per_hour)
        for hours, own in zip(("evaluation_hours", "requantization_hours"), rates, strict=True):
            if getattr(self, hours) is not None and own is None and self.engineering_usd_per_hour is None:
                rate = hours.replace("hours", "usd_per_hour")
                raise ValueError(f"{hours} without a rate: state {rate} or engineering_usd_per_hour")
        return self
