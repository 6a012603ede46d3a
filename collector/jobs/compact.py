"""What is computed of a replica, in the form in which a thousand replicas' are held between two reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from analyzer.capacity.live import ReplicaCapacity
from analyzer.decision import Decision
from analyzer.evidence import Missing
from analyzer.folded import Folded
from analyzer.predict import Prediction
from analyzer.replicas import ModelFigures


def compact_predictions(predicted: Mapping[str, Prediction | Missing]) -> Mapping[str, Prediction | Missing]:
    """Equal to what is given, as all of these are."""
    return predicted if isinstance(predicted, Folded) else Folded(predicted)


def compact_capacity(capacity: ReplicaCapacity) -> ReplicaCapacity:
    """Of the schemes no more than a few figures is asked for, but of the busiest replica."""
    if isinstance(capacity.schemes, Folded):
        return capacity
    return replace(capacity, schemes=Folded(capacity.schemes, (capacity.now, capacity.objectives)))


def compact_decision(decision: Decision) -> Decision:
    """The components, which are estimates, are most of it."""
    components = decision.account.components
    if isinstance(components, (Missing, Folded)):
        return decision
    return replace(decision, account=replace(decision.account, components=Folded(components)))


def compact_figures(figures: ModelFigures) -> ModelFigures:
    """The same of where each coefficient comes from."""
    if isinstance(figures.fit, Missing) or isinstance(figures.fit.origins, Folded):
        return figures
    return replace(figures, fit=replace(figures.fit, origins=Folded(figures.fit.origins)))
