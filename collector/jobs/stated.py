"""The operator's section about a deployment as the analysis wants it."""

from __future__ import annotations

from analyzer.assumptions import Context, Costs, Deployment, OtherGpu, Price, Quality, QualityResult
from analyzer.objectives import Objective, Objectives
from collector.settings.deployments import DeploymentConfig, ObjectivesConfig
from collector.settings.money import PriceConfig


def deployment_of(config: DeploymentConfig) -> Deployment:
    """The deployment that a section describes."""
    return Deployment(
        name=config.name,
        gpu=config.gpu,
        gpus_per_replica=config.gpus_per_replica,
        model=config.model,
        weight_bits=config.weight_bits,
        price=None if config.price is None else _price(config.price),
        minimum_replicas=config.minimum_replicas,
        growth_per_month=config.growth_per_month,
        tensor_parallel_choices=config.tensor_parallel_choices,
        other_gpus=tuple(OtherGpu(one.gpu, _price(one.price)) for one in config.other_gpus),
        minimum_year_1_net_usd=config.minimum_year_1_net_usd,
        schemes=config.schemes,
        costs=Costs(**config.costs.model_dump()),
        quality={
            scheme: Quality(QualityResult(one.result), one.metric, one.owner, one.date, one.relative_loss)
            for scheme, one in config.quality.items()
        },
        context=Context(**config.context.model_dump()),
        objectives=objectives_of(config.objectives),
        seats=config.seats,
        chunk_tokens=config.chunk_tokens,
    )


def objectives_of(config: ObjectivesConfig | None) -> Objectives | None:
    """The operator's latency objectives; None where none are stated."""
    if config is None:
        return None
    first, gap = (
        None if one is None else Objective(one.seconds, one.percentile / 100) for one in (config.ttft, config.itl)
    )
    return Objectives(first, gap, config.utilisation)


def _price(config: PriceConfig) -> Price:
    return Price(config.usd_per_gpu_hour, config.source, config.date)
